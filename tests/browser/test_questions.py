"""Ten questions of a manager, answered in the browser alone, over the sample that `make demo` shows."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from apps.demo.sample_data import COMPANIES, SPAN, deliveries_of_company
from apps.demo.scenario import Sent
from apps.metrics.figures import FigureQuery, Window
from apps.metrics.hourly_figures import keep_figures
from apps.metrics.recalculation import drain
from apps.teams.models import Team, TeamAccess
from apps.users.models import CustomUser
from apps.webhooks.worker import drain as process
from tests.browser.conftest import sign_in
from tests.github.translation import Door
from tests.metrics.steps import instant

START = instant("01-05 00:00")
PERIOD, WEEK_6 = "from=2026-01-05&to=2026-03-02", "2026-02-09..2026-02-16"
TEAM = f"/teams/harbor-works/?{PERIOD}"
SLOWEST, MISTAKE = "Move the invoices to the new schema", "Retry failed payments"


def deliver(deliveries: list[Sent]) -> None:
    Door().deliver(deliveries)
    process([], task_id=str(uuid4()), is_redelivered=False)
    assert drain(seconds=300)


def is_late(sent: Sent) -> bool:
    """Say whether it is a delivery about the slowest pull request's merge, which arrives after all others."""
    pull_request = sent.payload.get("pull_request", {})
    return bool(pull_request.get("title") == SLOWEST and pull_request.get("merged_at"))


def card(page: Page, key: str) -> Locator:
    return page.locator(f"#{key}")


def open_section(page: Page, title: str) -> None:
    page.get_by_role("navigation", name="Sections").get_by_role("link", name=title, exact=True).click()
    expect(page.get_by_role("link", name=title, exact=True)).to_have_attribute("aria-current", "page")


def open_week_6(page: Page) -> None:
    """Open the list behind the column of week 6 of the cycle time, the slowest first."""
    page.locator(f'#cycle_time svg a[href*="bucket={WEEK_6}"]').click()
    expect(page.get_by_role("heading", name="Cycle time")).to_be_visible()
    page.get_by_role("columnheader", name="Cycle time").get_by_role("link").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("3 d 00 h")


def open_pull_request(page: Page, title: str) -> None:
    page.get_by_role("row", name=title).get_by_role("link").first.click()
    expect(page.get_by_role("heading", name=title)).to_be_visible()


def stages(page: Page) -> list[dict[str, str]]:
    """Return the rows of the table of stages, a week each."""
    page.get_by_text("Show as table").first.click()
    table = page.get_by_role("region", name="Cycle time by stages")
    expect(table.get_by_role("row")).to_have_count(1 + 8)
    titles = table.get_by_role("columnheader").all_inner_texts()[1:]
    rows = [table.get_by_role("row").nth(place).locator("td").all_inner_texts() for place in range(1, 9)]
    return [dict(zip(titles, row, strict=True)) for row in rows]


def hours(duration: str) -> float:
    """Return a duration as people read it, such as 3 d 04 h, in hours."""
    in_hours = {"d": 24.0, "h": 1.0, "m": 1 / 60, "s": 1 / 3600}
    words = duration.split()
    return sum(float(number) * in_hours[unit] for number, unit in zip(words[::2], words[1::2], strict=True))


def why_did_cycle_time_rise_in_week_6(page: Page) -> None:
    open_week_6(page)
    open_pull_request(page, SLOWEST)
    expect(page.get_by_role("row", name="petra-n")).to_contain_text("after 2 d 23 h")


def which_stage_was_it(page: Page) -> None:
    weeks = stages(page)
    pickup, coding = ([hours(week[stage]) for week in weeks] for stage in ("Pickup", "Coding"))
    assert max(pickup) == pickup[5] > 2 * sorted(pickup)[-2], pickup
    assert coding[5] == min(coding), coding


def which_pull_requests_were_slow(page: Page) -> None:
    open_week_6(page)
    rows = page.get_by_role("row")
    asked = [rows.nth(place).inner_text() for place in range(1, 7)]
    assert all("3 d 00 h" in row for row in asked), asked


def who_waits_for_whom(page: Page) -> None:
    open_section(page, "Review")
    most = page.get_by_role("region", name="Who reviews whom").get_by_role("row").nth(1)
    expect(most).to_contain_text("petra-n 19 28% tomasz-w 7", use_inner_text=True)
    page.get_by_role("link", name="Now", exact=True).click()
    page.get_by_role("link", name="petra-n 1").click()
    waiting = page.get_by_role("region", name="Waiting for review").get_by_role("row").nth(1)
    expect(waiting).to_contain_text("petra-n")


def what_went_out_with_tuesdays_deployment_and_which_failed(page: Page) -> None:
    open_section(page, "Delivery")
    card(page, "deployments").locator(".value a").click()
    page.get_by_role("row", name="2026-02-10 12:06").get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Tuesday 10 Feb 2026 12:06")).to_be_visible()
    expect(page.get_by_role("region", name="What it shipped").last).to_contain_text(MISTAKE)
    expect(page.get_by_text("needed repair")).to_be_visible()
    page.goto(f"{TEAM}&section=delivery")
    card(page, "failed_deployments").locator(".value a").click()
    page.get_by_role("row", name="2026-02-10 16:06").get_by_role("link").first.click()
    expect(page.get_by_text("Nothing: the deployment did not succeed.")).to_be_visible()


def how_long_did_it_take_to_recover(page: Page) -> None:
    card(page, "failed_deployment_recovery_time").locator(".value a").click()
    page.get_by_role("row", name="2 h 00 m").get_by_role("link").first.click()
    expect(page.get_by_text("repaired after 2 h 00 m")).to_be_visible()
    expect(page.get_by_text("reverts #")).to_be_visible()


def what_share_was_ai_assisted_and_did_it_come_back_as_rework(page: Page) -> None:
    open_section(page, "AI and rework")
    expect(card(page, "ai_assisted").locator("data")).to_be_visible()
    evidence = page.get_by_role("region", name="With and without evidence of AI")
    expect(evidence.get_by_role("row", name="Assisted by AI")).to_contain_text("%")
    card(page, "reverted_rate").locator(".value a").click()
    open_pull_request(page, MISTAKE)
    expect(page.get_by_text("ai assisted")).to_be_visible()
    expect(page.get_by_text("Reverted by")).to_be_visible()


def what_is_stuck_now(page: Page) -> None:
    page.get_by_role("link", name="Now", exact=True).click()
    expect(page.get_by_role("link", name="Waiting for review")).to_be_visible()
    page.get_by_role("region", name="Waiting for review").get_by_role("row").nth(1).get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Open so far")).to_be_visible()


def is_the_number_complete(page: Page) -> None:
    expect(page.locator(".freshness").first).to_contain_text("Unverified")
    open_week_6(page)
    open_pull_request(page, MISTAKE)
    page.get_by_role("link", name="Sources").click()
    expect(page.get_by_role("row", name="Merged 2026-02-10 10:00:17")).to_contain_text(
        "When GitHub says that it was merged."
    )
    page.get_by_role("link", name="Figures").last.click()
    expect(page.get_by_role("row", name="Pull requests merged")).to_contain_text("counts")


QUESTIONS: tuple[Callable[[Page], None], ...] = (
    why_did_cycle_time_rise_in_week_6,
    which_stage_was_it,
    which_pull_requests_were_slow,
    who_waits_for_whom,
    what_went_out_with_tuesdays_deployment_and_which_failed,
    how_long_did_it_take_to_recover,
    what_share_was_ai_assisted_and_did_it_come_back_as_rework,
    what_is_stuck_now,
    is_the_number_complete,
)


def test_a_manager_s_questions_are_answered(context: BrowserContext, page: Page, subtests: pytest.Subtests) -> None:
    """The tenth, what changed since last Monday, needs a delivery that came late; the others see all."""
    deliveries = [each for each in deliveries_of_company(COMPANIES[0], start=START) if each.at <= START + SPAN]
    deliver([each for each in deliveries if not is_late(each)])
    team = Team.objects.get(slug="harbor-works")
    monday = START + timedelta(weeks=6, hours=18)
    window = Window.last(30, time_zone="UTC", now=monday)
    keep_figures(FigureQuery(team=team, window=window, as_of=monday))
    deliver([each for each in deliveries if is_late(each)])
    manager = CustomUser.objects.create_user("manager")
    TeamAccess.objects.create(team=team, user=manager, role=TeamAccess.Role.ADMIN)
    sign_in(context, manager)
    for question in QUESTIONS:
        with subtests.test(question=question.__name__):
            page.goto(TEAM)
            question(page)
    with subtests.test(question="what_changed_since_last_monday"):
        page.goto("/teams/harbor-works/changes/")
        page.get_by_label("Since").fill("2026-02-16")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_role("heading", name="What changed since Monday 16 Feb 2026")).to_be_visible()
        merged = page.get_by_role("row", name="Pull requests merged")
        expect(merged).to_contain_text("Late or corrected data")

"""Ten questions of a manager, answered in the browser alone; the story is in `story.py`."""

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from apps.metrics.figures import FigureQuery, Window
from apps.metrics.hourly_figures import keep_figures
from tests.api.conftest import Cast, record_at_once
from tests.browser import story
from tests.browser.conftest import sign_in
from tests.browser.story import PERIOD, WEEK_6
from tests.metrics.steps import instant

TEAM = f"/teams/acme/?{PERIOD}"


@pytest.fixture
def manager(context: BrowserContext, page: Page, cast: Cast) -> Page:
    """A manager of team acme before its page, after the four weeks."""
    record_at_once(story.steps())
    sign_in(context, cast.admin)
    page.goto(TEAM)
    return page


def card(page: Page, key: str) -> Locator:
    return page.locator(f"#{key}")


def value(page: Page, key: str) -> float:
    return float(card(page, key).locator("data").get_attribute("value") or "nan")


def open_section(page: Page, title: str) -> None:
    page.get_by_role("navigation", name="Sections").get_by_role("link", name=title, exact=True).click()
    expect(page.get_by_role("link", name=title, exact=True)).to_have_attribute("aria-current", "page")


def open_pull_request(page: Page, number: int) -> None:
    page.get_by_role("link", name=f"acme/api#{number}", exact=True).click()
    expect(page.get_by_role("heading", name=f"Change {number}")).to_be_visible()


def open_week_6(page: Page) -> None:
    """Open the list behind the column of week 6 of the cycle time."""
    page.locator(f'#cycle_time svg a[href*="bucket={WEEK_6}"]').click()
    expect(page.get_by_role("heading", name="Cycle time")).to_be_visible()


def test_1_why_did_cycle_time_rise_in_week_6(manager: Page) -> None:
    manager.get_by_text("Show as table").first.click()
    weeks = manager.get_by_role("region", name="Cycle time by stages").get_by_role("row")
    expect(weeks).to_have_count(1 + 4)
    open_week_6(manager)
    manager.get_by_role("columnheader", name="Cycle time").get_by_role("link").click()
    expect(manager.get_by_role("row").nth(1)).to_contain_text("3 d 01 h")
    open_pull_request(manager, 4)
    expect(manager.get_by_role("row", name="ben")).to_contain_text("after 3 d 00 h")


def test_2_which_stage_was_it(manager: Page) -> None:
    manager.get_by_text("Show as table").first.click()
    table = manager.get_by_role("region", name="Cycle time by stages")
    titles = table.get_by_role("columnheader").all_inner_texts()
    before, week_6 = (table.get_by_role("row").nth(place).locator("td").all_inner_texts() for place in (3, 4))
    then, now = dict(zip(titles[1:], before, strict=True)), dict(zip(titles[1:], week_6, strict=True))
    assert (then["Pickup"], now["Pickup"]) == ("2 h 00 m", "36 h 15 m")
    assert now["Coding"] == then["Coding"] == "1 h 00 m"


def test_3_which_pull_requests_were_slow(manager: Page) -> None:
    open_week_6(manager)
    expect(manager.get_by_role("row")).to_have_count(1 + 4)
    manager.get_by_role("columnheader", name="Cycle time").get_by_role("link").click()
    slow = [manager.get_by_role("row").nth(place).inner_text() for place in (1, 2)]
    assert ["#4" in slow[0], "#5" in slow[1]] == [True, True], slow


def test_4_who_waits_for_whom(manager: Page) -> None:
    open_section(manager, "Review")
    reviewers = manager.get_by_role("region", name="Who reviews whom")
    expect(reviewers.get_by_role("row", name="ben 5 71%")).to_contain_text("ana 4, cy 1")
    manager.get_by_role("link", name="Now", exact=True).click()
    manager.get_by_role("link", name="cy 1").click()
    expect(manager.get_by_role("row", name="Change 8")).to_contain_text("ana")


def test_5_what_went_out_with_tuesdays_deployment_and_which_failed(manager: Page) -> None:
    open_section(manager, "Delivery")
    card(manager, "deployments").locator(".value a").click()
    manager.get_by_role("row", name="2026-02-03 12:00").get_by_role("link").first.click()
    expect(manager.get_by_role("heading", name="Tuesday 3 Feb 2026 12:00")).to_be_visible()
    expect(manager.get_by_role("region", name="What it shipped").last).to_contain_text("Change 6")
    expect(manager.get_by_text("needed repair")).to_be_visible()
    manager.goto(f"{TEAM}&section=delivery")
    card(manager, "failed_deployments").locator(".value a").click()
    manager.get_by_role("row", name="2026-02-03 16:00").get_by_role("link").first.click()
    expect(manager.get_by_text("Nothing: the deployment did not succeed.")).to_be_visible()


def test_6_how_long_did_it_take_to_recover(manager: Page) -> None:
    recovery = card(manager, "failed_deployment_recovery_time")
    expect(recovery).to_contain_text("2 h 00 m")
    recovery.locator(".value a").click()
    manager.get_by_role("row", name="production").get_by_role("link").first.click()
    expect(manager.get_by_text("repaired after 2 h 00 m")).to_be_visible()
    expect(manager.get_by_text("#7 reverts #6")).to_be_visible()


def test_7_what_share_was_ai_assisted_and_did_it_come_back_as_rework(manager: Page) -> None:
    open_section(manager, "AI and rework")
    assert value(manager, "ai_assisted") == pytest.approx(1 / 7)
    evidence = manager.get_by_role("region", name="With and without evidence of AI")
    expect(evidence.get_by_role("row", name="Assisted by AI")).to_contain_text("100%")
    expect(evidence.get_by_role("row", name="No evidence")).to_contain_text("0%")
    card(manager, "reverted_rate").locator(".value a").click()
    open_pull_request(manager, 6)
    expect(manager.get_by_text("ai assisted")).to_be_visible()
    expect(manager.get_by_text("Reverted by #7.")).to_be_visible()


def test_8_what_is_stuck_now(manager: Page) -> None:
    manager.get_by_role("link", name="Now", exact=True).click()
    expect(manager.get_by_role("link", name="1 Waiting for review")).to_be_visible()
    expect(manager.get_by_role("row", name="Change 8")).to_contain_text("cy")
    manager.get_by_role("link", name="Change 8").click()
    expect(manager.get_by_role("heading", name="Open so far")).to_be_visible()


def test_9_is_the_number_complete(manager: Page) -> None:
    expect(manager.locator(".freshness").first).to_contain_text("Unverified")
    card(manager, "prs_merged").locator(".value a").click()
    expect(manager.get_by_role("row")).to_have_count(1 + 7)
    open_pull_request(manager, 4)
    manager.get_by_role("link", name="Sources").click()
    expect(manager.get_by_role("row", name="Merged 2026-02-05 10:00:00")).to_contain_text(
        "When GitHub says that it was merged."
    )
    manager.get_by_role("link", name="Figures").last.click()
    expect(manager.get_by_role("row", name="Pull requests merged")).to_contain_text("counts")


def test_10_what_changed_since_last_monday(manager: Page, cast: Cast) -> None:
    monday = instant("02-02 18:00")
    window = Window.last(30, time_zone="UTC", now=monday)
    keep_figures(FigureQuery(team=cast.teams["acme"], window=window, as_of=monday))
    record_at_once(story.change(9, "cy", ("01-28 08:00", "01-28 09:00", "01-28 10:00", "01-28 11:00")))
    manager.goto("/teams/acme/changes/")
    manager.get_by_label("Since").fill("2026-02-02")
    manager.get_by_role("button", name="Show").click()
    expect(manager.get_by_role("heading", name="What changed since Monday 2 Feb 2026")).to_be_visible()
    merged = manager.get_by_role("row", name="Pull requests merged")
    expect(merged).to_contain_text("3 pull requests")
    expect(merged).to_contain_text("4 pull requests")
    expect(merged).to_contain_text("Late or corrected data")

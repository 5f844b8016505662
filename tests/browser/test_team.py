"""From a team to the pull request behind a column, and filters that stay."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from apps.metrics.models import Goal
from tests.api.conftest import Cast
from tests.browser.conftest import PHONE, sign_in

WEEK = "from=2026-03-02&to=2026-03-09"
TEAM = f"/teams/acme/?{WEEK}"


def test_from_the_overview_to_a_column_its_list_and_a_pull_request(
    context: BrowserContext, page: Page, week: Cast
) -> None:
    sign_in(context, week.operator)
    page.goto(f"/?{WEEK}")
    page.get_by_role("link", name="acme", exact=True).click()
    expect(page).to_have_url(f"{page.url.partition('/teams')[0]}{TEAM}")
    page.locator('#prs_merged svg a[href*="bucket=2026-03-05..2026-03-06"]').click()
    expect(page.get_by_role("row")).to_have_count(1 + 3)
    page.get_by_role("link", name="acme/api#5", exact=True).click()
    expect(page).to_have_url(re.compile(r"/pull-requests/\d+/$"))
    page.go_back()
    page.get_by_role("link", name="\N{LEFTWARDS ARROW} acme").click()
    expect(page).to_have_url(f"{page.url.partition('/teams')[0]}{TEAM}")


def test_filters_survive_a_reload_a_list_and_the_way_back(context: BrowserContext, page: Page, week: Cast) -> None:
    sign_in(context, week.viewer)
    page.goto(TEAM)
    assert page.locator("#prs_merged data").get_attribute("value") == "5"
    page.locator("select[name=bots]").select_option("With bots")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#prs_merged data")).to_have_attribute("value", "6")
    chosen = page.url
    assert set(chosen.partition("?")[2].split("&")) == {*WEEK.split("&"), "bots=include"}

    page.reload()
    expect(page.locator("#prs_merged data")).to_have_attribute("value", "6")
    expect(page.locator("select[name=bots]")).to_have_value("include")
    page.get_by_role("navigation", name="Sections").get_by_role("link", name="Review").click()
    expect(page).to_have_url(f"{chosen}&section=review")
    page.go_back()
    page.locator("#prs_merged .value a").click()
    expect(page.get_by_role("row")).to_have_count(1 + 6)
    page.get_by_role("link", name="Item", exact=True).click()
    page.get_by_label("Search by title or number").fill("#5")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("row")).to_have_count(1 + 1)
    page.get_by_role("link", name="\N{LEFTWARDS ARROW} acme").click()
    expect(page).to_have_url(chosen)
    page.get_by_role("link", name="Bots: With bots").click()
    expect(page).to_have_url(chosen.replace("&bots=include", ""))


def test_a_period_is_chosen_by_its_days(context: BrowserContext, page: Page, week: Cast) -> None:
    sign_in(context, week.viewer)
    page.goto("/teams/acme/")
    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("From").fill("2026-03-02")
    page.get_by_label("To", exact=True).fill("2026-03-08")
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(f"{page.url.partition('/teams')[0]}{TEAM}")
    expect(page.locator("#prs_merged data")).to_have_attribute("value", "5")


def test_a_definition_opens_and_leads_to_what_is_not_counted(context: BrowserContext, page: Page, week: Cast) -> None:
    sign_in(context, week.viewer)
    page.goto(TEAM)
    page.locator("#prs_merged summary").click()
    page.get_by_role("link", name="1 by bots").click()
    expect(page.get_by_role("row")).to_have_count(1 + 1)


def test_an_admin_sets_a_goal_on_a_card(context: BrowserContext, page: Page, week: Cast) -> None:
    sign_in(context, week.admin)
    page.goto(TEAM)
    card = page.locator("#lead_time")
    card.locator("summary").click()
    card.get_by_label("Target").fill("2 d")
    card.get_by_role("button", name="Set goal").click()
    expect(page.get_by_role("status")).to_contain_text("is set, starting this week.")
    assert Goal.objects.get().target == 2 * 86400


@pytest.mark.parametrize(
    "url", ["/", TEAM, f"{TEAM}&section=flow", f"{TEAM}&section=review", f"/teams/acme/figures/cycle_time/?{WEEK}"]
)
def test_nothing_reaches_over_the_edge_of_a_phone(context: BrowserContext, page: Page, week: Cast, url: str) -> None:
    sign_in(context, week.admin)
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    page.goto(url)
    assert page.evaluate("document.querySelector('main').scrollWidth") <= PHONE[0]


def test_a_column_is_reached_and_opened_by_keyboard(context: BrowserContext, page: Page, week: Cast) -> None:
    sign_in(context, week.viewer)
    page.goto("/teams/acme/?from=2026-03-02&to=2026-03-09")
    card = page.locator("#prs_merged")
    card.locator(".value a").focus()
    page.keyboard.press("Tab")
    column = card.get_by_role("link", name="3 Mar: 2 pull requests")
    expect(column).to_be_focused()
    assert column.locator(".place").evaluate("place => getComputedStyle(place).stroke") != "none"
    page.keyboard.press("Enter")
    page.wait_for_url("**/figures/prs_merged/**bucket=2026-03-03..2026-03-04")

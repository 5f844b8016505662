"""Pull requests, deployments and what is stuck now, in a real browser."""

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from apps.activity.models import PullRequest
from apps.metrics.models import DerivedDeployment
from tests.api.conftest import API, Cast
from tests.browser.conftest import PHONE, serious_problems, sign_in
from tests.metrics.steps import PullRequestSteps, instant, record_steps


def address_of(number: int) -> str:
    return f"/pull-requests/{PullRequest.objects.get(repository_id=API, number=number).pk}/"


def address_of_deployment(at: str) -> str:
    return f"/deployments/{DerivedDeployment.objects.get(succeeded_at=instant(at)).pk}/"


@pytest.fixture
def waiting(week: Cast) -> Cast:
    """The week, and a pull request that waits for two reviewers."""
    steps = PullRequestSteps(7, "ana").opened("03-06 10:00").requested("03-06 11:00", "ben")
    record_steps(steps.requested("03-06 12:00", "cy").steps)
    return week


@pytest.mark.parametrize("theme", ["light", "dark"], indirect=True)
def test_no_page_keeps_anybody_from_using_it(context: BrowserContext, page: Page, waiting: Cast, theme: str) -> None:
    sign_in(context, waiting.viewer)
    page.emulate_media(reduced_motion="reduce")
    for address in (
        *(address_of(1), f"{address_of(1)}?show=sources", f"{address_of(4)}?show=figures", address_of(7)),
        *("/now/", "/now/?show=all", address_of_deployment("03-05 17:00")),
    ):
        page.goto(address)
        assert serious_problems(page) == [], address


def test_no_page_scrolls_sideways_on_a_phone(context: BrowserContext, page: Page, waiting: Cast) -> None:
    sign_in(context, waiting.operator)
    width, height = PHONE
    page.set_viewport_size({"width": width, "height": height})
    for address in (
        *(address_of(1), f"{address_of(1)}?show=sources", f"{address_of(1)}?show=figures"),
        *("/now/", address_of_deployment("03-05 17:00")),
    ):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address


def test_from_what_is_stuck_to_why_it_is(context: BrowserContext, page: Page, waiting: Cast) -> None:
    sign_in(context, waiting.viewer)
    page.goto("/")
    page.get_by_role("link", name="Now", exact=True).click()
    review = page.get_by_role("region", name="Waiting for review").last
    expect(review.get_by_role("row", name="Change 7")).to_contain_text("ben, cy")
    page.get_by_role("link", name="cy 1").click()
    expect(page.get_by_text("Only what is waiting for cy.")).to_be_visible()
    page.get_by_role("link", name="Change 7").click()
    expect(page.get_by_role("heading", name="Change 7")).to_be_visible()
    expect(page.get_by_role("row", name="cy")).to_contain_text("none yet")
    expect(page.get_by_role("img", name="Stages to scale")).to_be_visible()


def test_from_a_pull_request_to_its_sources_its_figures_and_its_deployment(
    context: BrowserContext, page: Page, week: Cast
) -> None:
    sign_in(context, week.viewer)
    page.goto(address_of(5))
    page.get_by_role("link", name="Sources").click()
    deployed = page.get_by_role("row", name="Deployed to production")
    deployed.get_by_text("not chosen").click()
    expect(deployed.get_by_text("An earlier one counts.").first).to_be_visible()
    page.get_by_role("link", name="Figures").last.click()
    expect(page.get_by_role("row", name="Cycle time")).to_contain_text("7 h 00 m")
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("row", name="first to production").get_by_role("link").click()
    expect(page.get_by_role("heading", name="Deployment to production")).to_be_visible()
    expect(page.get_by_text("needed repair")).to_be_visible()

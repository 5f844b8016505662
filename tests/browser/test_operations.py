"""Operations in a real browser: a failed delivery replayed, a job started, watched, paused, resumed and cancelled."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect

from apps.integrations.models import Backfill
from apps.webhooks.models import Delivery
from tests.api.conftest import Cast, connected, make_delivery, reached
from tests.browser.conftest import PHONE, sign_in

__all__ = ["connected", "reached"]


def test_a_failed_delivery_is_found_and_replayed(context: BrowserContext, page: Page, cast: Cast) -> None:
    sign_in(context, cast.operator)
    failed = make_delivery(
        1, state="dead", reason="translator_failed", error="KeyError: 'id'", finished_at=timezone.now(), attempts=5
    )
    page.goto("/")
    page.get_by_role("link", name="Operations").click()
    page.get_by_role("link", name="Translator failed").click()
    expect(page).to_have_url(re.compile("state=dead"))
    page.get_by_role("link", name="pull_request.opened").click()
    expect(page.get_by_text("KeyError: 'id'")).to_be_visible()
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("status")).to_contain_text("will be processed again")
    failed.refresh_from_db()
    assert (failed.state, failed.source) == ("received", Delivery.Source.REPLAY)


def test_all_that_match_are_replayed_after_their_count(context: BrowserContext, page: Page, cast: Cast) -> None:
    sign_in(context, cast.operator)
    for number in range(3):
        make_delivery(number, state="dead", reason="timed_out", finished_at=timezone.now())
    page.goto("/operations/deliveries/?state=dead")
    page.get_by_role("link", name="Replay all that match").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Replay 3 deliveries?")
    page.get_by_role("button", name="Replay 3").click()
    expect(page.get_by_role("status")).to_contain_text("3 deliveries will be processed again")
    assert set(Delivery.objects.values_list("state", flat=True)) == {"received"}


def test_the_inbox_shows_what_arrives_while_it_is_open(context: BrowserContext, page: Page, cast: Cast) -> None:
    sign_in(context, cast.operator)
    make_delivery(1)
    page.goto("/operations/deliveries/?event=pull_request")
    row = page.get_by_role("link", name="pull_request.opened")
    expect(row).to_have_count(1)
    row.focus()
    make_delivery(2)
    expect(row).to_have_count(2, timeout=10_000)
    assert page.evaluate("document.activeElement.id") == f"delivery-{Delivery.objects.earliest('pk').pk}"


@pytest.fixture
def operator(context: BrowserContext, page: Page, connected: Cast) -> Page:
    """An operator's page, with a GitHub that answers."""
    sign_in(context, connected.operator)
    return page


def test_history_is_forecast_started_watched_paused_resumed_and_cancelled(operator: Page) -> None:
    page = operator
    page.goto("/operations/jobs/")
    page.get_by_role("link", name="Load history…").click()
    page.get_by_label("Repository", exact=True).fill("acme/api")
    page.get_by_role("button", name="Estimate cost").click()
    expect(page.get_by_role("heading", name="Estimate")).to_be_visible()
    assert not Backfill.objects.exists()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("backfills started")
    page.get_by_role("button", name="Pause the backfills of acme/api").click()
    expect(page.get_by_role("status")).to_contain_text("paused")
    assert set(Backfill.objects.values_list("state", flat=True)) == {"paused"}
    page.get_by_role("button", name="Resume the backfills of acme/api").click()
    expect(page.get_by_role("status")).to_contain_text("resumed")
    Backfill.objects.filter(stream="pull_requests").update(
        state="running", lease_until=timezone.now(), started_at=timezone.now(), total=40, items=10
    )
    progress = page.get_by_role("progressbar", name="Pull requests")
    expect(progress).to_have_attribute("value", "25", timeout=10_000)
    Backfill.objects.filter(stream="pull_requests").update(items=20)
    expect(progress).to_have_attribute("value", "50", timeout=10_000)
    page.get_by_role("button", name="Cancel the backfills of acme/api").click()
    expect(page.get_by_role("status")).to_contain_text("cancelled")
    assert set(Backfill.objects.values_list("state", flat=True)) == {"cancelled"}


def test_a_viewer_sees_jobs_and_cannot_operate(
    context: BrowserContext, page: Page, cast: Cast, jobs: dict[str, int]
) -> None:
    sign_in(context, cast.viewer)
    page.goto("/operations/jobs/")
    expect(page.get_by_role("heading", name="acme/api")).to_be_visible()
    for change in ("Pause", "Cancel", "Retry"):
        expect(page.get_by_role("button", name=change)).to_have_count(0)
    expect(page.get_by_role("link", name="Load history")).to_have_count(0)
    for address in ("deliveries/", "health/", "reconciliation/"):
        page.goto(f"/operations/{address}")
        expect(page.get_by_role("heading", level=1)).to_have_text("Not found")


@pytest.mark.parametrize("address", ["deliveries/", "jobs/", "jobs/start/", "reconciliation/", "health/", "delivery"])
def test_no_page_is_wider_than_a_phone(
    context: BrowserContext, page: Page, cast: Cast, jobs: dict[str, int], address: str
) -> None:
    sign_in(context, cast.operator)
    row = make_delivery(1, state="dead", reason="translator_failed", error="E" * 300, finished_at=timezone.now())
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    page.goto(f"/operations/{f'deliveries/{row.pk}/' if address == 'delivery' else address}")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]

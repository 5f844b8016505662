"""The digest and notifications in a browser: preview, subscribe, unsubscribe; a webhook is added and tried."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from apps.jobs import runner
from apps.notifications.mail_job import unsubscribe_url
from apps.notifications.models import Topic
from tests.api.conftest import Cast
from tests.browser.conftest import PHONE, sign_in
from tests.notifications.receiver import Receiver, receiving


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    with receiving() as found:
        settings.OUTGOING_WEBHOOK_ORIGINS = [found.url]
        yield found


def test_somebody_looks_at_the_digest_subscribes_and_unsubscribes_by_the_link_of_a_mail(
    context: BrowserContext, page: Page, week: Cast, settings: Any
) -> None:
    week.viewer.email = "viewer@example.com"
    week.viewer.save()
    sign_in(context, week.viewer)
    page.goto("/teams/acme/notifications/")
    page.get_by_role("link", name="preview").click()
    expect(page.get_by_role("heading", name="Weekly digest")).to_be_visible()
    page.get_by_role("button", name="Subscribe by email").click()
    expect(page.get_by_role("status")).to_have_text("You get the weekly digest of acme.")
    page.get_by_role("link", name="Plain-text version").click()
    expect(page.locator("pre")).to_contain_text("acme, ")
    context.clear_cookies()
    page.goto(unsubscribe_url(week.viewer, week.teams["acme"], Topic.DIGEST).removeprefix(settings.PUBLIC_URL))
    page.get_by_role("button", name="Unsubscribe").click()
    expect(page.get_by_role("heading", name="Unsubscribed")).to_be_visible()
    sign_in(context, week.viewer)
    page.goto("/teams/acme/digest/")
    expect(page.get_by_role("button", name="Subscribe by email")).to_be_visible()


def test_an_admin_adds_a_webhook_and_sees_the_result_of_a_test_without_reloading(
    context: BrowserContext, page: Page, week: Cast, receiver: Receiver
) -> None:
    sign_in(context, week.admin)
    page.goto("/teams/acme/notifications/")
    page.get_by_label("Name").fill("#figures")
    page.get_by_label("Address").fill(f"{receiver.url}/services/secret")
    page.get_by_role("button", name="Add webhook").click()
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_text("sending…")).to_be_visible()
    runner.run_jobs(task_id="test", is_redelivered=False)
    expect(page.get_by_text("answered 200")).to_be_visible()
    assert receiver.documents[0]["text"] == "tformance: test message"


@pytest.mark.parametrize("url", ["/teams/acme/digest/", "/teams/acme/notifications/"])
def test_a_phone_needs_no_scrolling_sideways(context: BrowserContext, page: Page, week: Cast, url: str) -> None:
    sign_in(context, week.admin)
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    page.goto(url)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]

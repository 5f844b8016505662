"""Somebody new is invited, makes an account, signs in, and sees the team without being able to change it."""

from typing import Any
from urllib.parse import urlsplit

from django.urls import reverse
from playwright.sync_api import BrowserContext, Page

from tests.api.conftest import Cast
from tests.browser.conftest import PHONE, serious_problems, sign_in
from tests.users.openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIDProvider

PASSWORD = "four quiet boats"


def test_invite_accept_sign_in_and_a_viewer_cannot_operate(
    context: BrowserContext, page: Page, week: Cast, jobs: dict[str, int]
) -> None:
    sign_in(context, week.admin)
    page.goto("/people/")
    page.get_by_role("radio", name="Viewer").check()
    page.get_by_role("button", name="Invite").click()
    link = page.locator(".messages .secret").inner_text()
    assert page.get_by_text("Viewer, by link").is_visible()

    context.clear_cookies()
    page.goto(urlsplit(link).path)
    assert urlsplit(page.url).path == "/invitation/"
    assert page.get_by_role("heading", name="Join acme").is_visible()
    page.get_by_label("Username").fill("nora")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password again").fill("another")
    page.get_by_role("button", name="Create account and join").click()
    assert page.locator("#password-errors").is_visible()
    assert serious_problems(page) == []
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.get_by_role("button", name="Create account and join").click()
    assert page.get_by_text("Welcome to acme.").is_visible()

    page.locator(".person summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.goto("/accounts/login/?next=/people/")
    page.get_by_label("Username").fill("nora")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    assert urlsplit(page.url).path == "/people/"
    assert page.get_by_role("rowheader", name="nora").is_visible()
    assert page.get_by_role("button", name="Invite").count() == 0
    page.goto(reverse("jobs"))
    assert page.locator(".changes button").count() == 0
    answer = page.goto("/people/?team=umbrella")
    assert answer is not None
    assert answer.status == 404


def test_an_openid_provider_leads_there_and_back(page: Page, cast: Cast, settings: Any) -> None:
    with OpenIDProvider() as provider:
        settings.OIDC_ISSUER, settings.OIDC_NAME, settings.OIDC_DOMAINS = provider.issuer, "Acme ID", ["acme.example"]
        settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = CLIENT_ID, CLIENT_SECRET
        provider.claims |= {"email": "nora@acme.example", "email_verified": True}
        page.goto("/accounts/login/?next=/account/")
        page.get_by_role("button", name="Sign in with Acme ID").click()
        page.wait_for_url("**/account/")
    assert page.get_by_role("heading", name="nora").is_visible()
    assert page.get_by_text("Single sign-on").is_visible()


def test_the_author_takes_an_invitation_back(context: BrowserContext, page: Page, cast: Cast) -> None:
    sign_in(context, cast.admin)
    page.goto("/people/")
    page.get_by_role("button", name="Invite").click()
    link = urlsplit(page.locator(".messages .secret").inner_text()).path
    page.get_by_role("button", name="Revoke the invitation 1").click()
    assert page.get_by_text("Its link no longer works").is_visible()
    context.clear_cookies()
    page.goto(link)
    assert page.get_by_role("heading", name="This invitation cannot be used").is_visible()


def test_a_token_is_made_copied_and_revoked_on_a_phone(context: BrowserContext, page: Page, cast: Cast) -> None:
    sign_in(context, cast.viewer)
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    page.goto("/account/")
    page.get_by_label("What is the new token for?").fill("Weekly report")
    page.get_by_role("button", name="Create token").click()
    assert page.locator(".messages .secret").inner_text().startswith("tf_")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    page.get_by_role("button", name="Revoke Weekly report").click()
    assert page.get_by_text("The token was revoked.").is_visible()

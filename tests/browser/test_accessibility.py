"""Every page, in both themes, as axe-core judges it."""

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.api.conftest import Cast
from tests.browser.conftest import serious_problems, sign_in

PAGES = (
    "/",
    "/teams/acme/figures/cycle_time/",
    "/operations/jobs/",
    "/operations/jobs/start/",
    "/notes/",
    "/notifications/",
    "/teams/acme/notifications/",
    "/teams/acme/digest/",
    "/teams/acme/digest/stuck/",
    "/people/",
    "/people/users/",
    "/account/",
    "/accounts/password/change/",
    "/setup/",
    "/setup/production/",
    "/api/v1/docs/",
    "/operations/deliveries/",
    "/operations/reconciliation/",
    "/operations/reconciliation/repositories/",
    "/operations/health/",
    "/nothing/here/",
)


@pytest.mark.parametrize("theme", ["light", "dark"], indirect=True)
@pytest.mark.parametrize("url", PAGES)
def test_no_page_keeps_anybody_from_using_it(context: BrowserContext, page: Page, week: Cast, url: str) -> None:
    sign_in(context, week.operator)
    page.goto(url)
    assert serious_problems(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"], indirect=True)
@pytest.mark.parametrize("url", ["/accounts/login/", "/accounts/password/reset/"])
def test_the_sign_in_keeps_nobody_out(page: Page, theme: str, url: str) -> None:
    page.goto(url)
    assert serious_problems(page) == []

"""Every page, in both themes, as axe-core judges it."""

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.api.conftest import Cast
from tests.browser.conftest import serious_problems, sign_in

PAGES = (
    "/",
    "/teams/acme/",
    "/teams/acme/?from=2026-03-02&to=2026-03-09&bots=include",
    "/teams/acme/?from=2026-03-02&to=2026-03-09&section=flow",
    "/teams/acme/?from=2026-03-02&to=2026-03-09&section=review",
    "/teams/acme/figures/cycle_time/",
    "/teams/acme/figures/cycle_time/?from=2026-03-02&to=2026-03-09&bucket=2026-03-05..2026-03-06",
    "/operations/jobs/",
    "/teams/acme/changes/",
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

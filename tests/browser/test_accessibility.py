"""Every page, in both themes, as axe-core judges it."""

from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.api.conftest import Cast
from tests.browser.conftest import serious_problems, sign_in
from tests.dashboard.every_page import PARTS, every_address, world

__all__ = ["world"]

ALSO = ("/accounts/password/change/", "/nothing/here/")


@pytest.mark.parametrize("theme", ["light", "dark"], indirect=True)
def test_no_page_keeps_anybody_from_using_it(
    context: BrowserContext, page: Page, week: Cast, world: dict[str, Any]
) -> None:
    """All pages share one world, which takes longest to make."""
    sign_in(context, week.operator)
    problems = {}
    for address in (*every_address(world, but=PARTS), *ALSO):
        page.goto(address)
        problems[address] = serious_problems(page)
    assert {address: found for address, found in problems.items() if found} == {}


@pytest.mark.parametrize("theme", ["light", "dark"], indirect=True)
@pytest.mark.parametrize("url", ["/accounts/login/", "/accounts/password/reset/"])
def test_the_sign_in_keeps_nobody_out(page: Page, theme: str, url: str) -> None:
    page.goto(url)
    assert serious_problems(page) == []

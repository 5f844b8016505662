"""A real browser (Debian's Chromium, driven by Playwright) before a server on the test's own database."""

import os
import shutil
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from django.conf import settings
from django.test import Client, override_settings
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from tests.api.conftest import cast, fresh_throttles, jobs, many_jobs, week

__all__ = ["cast", "fresh_throttles", "jobs", "many_jobs", "week"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DESKTOP, PHONE = (1440, 900), (390, 844)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder: they take long, and need a browser."""
    for item in items:
        if "/tests/browser/" in str(item.path):
            item.add_marker(pytest.mark.proof)
            item.add_marker(pytest.mark.django_db(transaction=True))
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="Chromium is not installed (apt-get install chromium)"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # Playwright's loop runs in the thread of the test
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="session")
def live_server() -> Iterator[LiveServer]:
    """The server of pytest-django, without TLS, as on a laptop."""
    with override_settings(SECURE_SSL_REDIRECT=False, SECURE_HSTS_SECONDS=0):  # read when the server starts
        server = LiveServer("localhost")
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def plain_http(settings: Any) -> None:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False


@pytest.fixture(params=["light"])
def theme(request: pytest.FixtureRequest) -> str:
    """Return the theme of the pages; a test that looks at both asks for them by parametrising this."""
    return str(request.param)


@pytest.fixture
def context(chromium: Browser, live_server: LiveServer, theme: Any) -> Iterator[BrowserContext]:
    """A window of its own, as wide as a desktop's, in which every error of the console fails the test."""
    width, height = DESKTOP
    window = chromium.new_context(
        base_url=live_server.url, color_scheme=theme, viewport={"width": width, "height": height}
    )
    problems: list[str] = []

    def note(message: ConsoleMessage) -> None:
        missing_page = message.page is not None and message.location.get("url") == message.page.url
        if message.type == "error" and not missing_page:
            problems.append(f"{message.location.get('url', '')}: {message.text}")

    window.on("console", note)
    window.on("weberror", lambda error: problems.append(str(error.error)))
    yield window
    window.close()
    assert problems == []


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def sign_in(context: BrowserContext, user: Any) -> None:
    """Sign a user in without the form, which has tests of its own."""
    client = Client()
    client.force_login(user)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": cookie.value, "domain": "localhost", "path": "/"}]
    )


def serious_problems(page: Page) -> list[str]:
    """Return what axe-core finds on the page that keeps somebody from using it."""
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
    found = page.evaluate("axe.run()")
    return [
        f"{one['id']}: {one['help']}: {node['target']} {node.get('failureSummary', '')}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]

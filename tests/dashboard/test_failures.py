"""What goes wrong is said in the house's style, and an error of ours is found in the log by its incident."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.test import Client, RequestFactory
from rest_framework.throttling import UserRateThrottle

from apps.dashboard import overview_of_teams
from apps.dashboard.failures import answer_incident
from tests.api.conftest import Cast

pytestmark = pytest.mark.django_db
PAGE = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def client(cast: Cast) -> Client:
    """A viewer's browser, which is shown what goes wrong as it is in production."""
    browser = Client(raise_request_exception=False)
    browser.force_login(cast.viewer, backend="django.contrib.auth.backends.ModelBackend")
    return browser


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(overview_of_teams, "teams_of", fail)
    monkeypatch.setattr("apps.teams.api.views.teams_of", fail)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[dict[str, Any]]]:
    """The log, as its lines are written."""
    found: list[dict[str, Any]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append({"event": record.getMessage(), **structlog.contextvars.get_contextvars()})

    handler = Keep()
    logging.getLogger().addHandler(handler)
    yield found
    logging.getLogger().removeHandler(handler)


def test_an_error_of_ours_shows_an_incident_that_stands_in_the_log(
    client: Client, broken: None, lines: list[dict[str, Any]]
) -> None:
    answer = client.get("/")
    page = answer.content.decode()
    incident = re.findall(r"<code>(\w{8})</code>", page)[0]
    assert (answer.status_code, answer["Cache-Control"]) == (500, "no-store")
    assert 'class="top"' in page
    assert "fault" not in page
    assert {line["event"] for line in lines if line.get("incident") == incident} >= {
        "request_failed",
        "Internal Server Error: /",
    }
    assert "incident" not in structlog.contextvars.get_contextvars(), "the next request has none"


def test_the_api_says_the_incident_in_its_shape(client: Client, broken: None) -> None:
    answer = client.get("/api/v1/teams/")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.json()["incident"] in json.dumps(answer.json()["detail"])


def test_a_browser_that_asks_the_api_too_often_is_shown_a_page(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UserRateThrottle, "rate", "1/min", raising=False)
    assert client.get("/api/v1/teams/").status_code == 200
    page = client.get("/api/v1/teams/", headers=PAGE)
    assert (page.status_code, page["Retry-After"]) == (429, str(int(page["Retry-After"])))
    assert "Too many requests" in page.content.decode()
    assert f"Try again in {page['Retry-After']} second" in page.content.decode()
    assert client.get("/api/v1/teams/").json()["code"] == "throttled"


def test_neither_page_nor_answer_needs_the_database(django_assert_num_queries: Any) -> None:
    request = RequestFactory().get("/")
    request.resolver_match = None
    with django_assert_num_queries(0):
        answer = answer_incident(request)
    answer.close()
    assert answer.status_code == 500


@pytest.mark.parametrize(("address", "status"), [("/nothing/here/", 404), ("/admin/", 302)])
def test_a_page_that_is_not_there_is_in_the_house_s_style(client: Client, address: str, status: int) -> None:
    answer = client.get(address)
    assert answer.status_code == status
    assert status == 302 or 'class="top"' in answer.content.decode()

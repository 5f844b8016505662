"""While the database is away, busy or too slow, pages and API answer 503 and say what to do."""

from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from tests.api.conftest import Cast
from tests.webhooks.proxies import refused_port

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.proof]
FIGURES = "/api/v1/teams/acme/figures/"
PAGES = (
    "/",
    "/teams/acme/figures/commits/",
    "/operations/jobs/",
    "/operations/deliveries/",
    "/notes/",
    "/admin/webhooks/delivery/",
)
API = (FIGURES, f"{FIGURES}commits/entities/?format=csv", "/api/v1/deliveries/")


@pytest.fixture
def client(cast: Cast) -> Client:
    """An operator's browser, which is shown what goes wrong as it is in production."""
    browser = Client(raise_request_exception=False)
    browser.force_login(cast.operator, backend="django.contrib.auth.backends.ModelBackend")
    return browser


@pytest.fixture
def away() -> Iterator[None]:
    """Nobody listens where the database was."""
    known = dict(connection.settings_dict)
    connection.close()
    connection.settings_dict.update(HOST="127.0.0.1", PORT=str(refused_port()))
    yield
    connection.close()
    connection.settings_dict.update(HOST=known["HOST"], PORT=known["PORT"])


@pytest.fixture
def blocked() -> Iterator[None]:
    """The derived commits cannot be read, because somebody else holds their table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    known = connection.connection.info
    with psycopg.connect(known.dsn, password=connection.settings_dict["PASSWORD"] or None) as other:
        other.execute("LOCK TABLE metrics_derivedcommit")
        yield
    connection.close()


def limit(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, '100ms', false)", [name])


@pytest.mark.parametrize("address", PAGES)
def test_while_the_database_is_away_a_page_is_503_with_a_sentence(client: Client, away: None, address: str) -> None:
    answer = client.get(address)
    assert (answer.status_code, answer["Retry-After"]) == (503, "10")
    assert "The database is unavailable or busy." in answer.content.decode()


@pytest.mark.parametrize("address", API)
def test_while_the_database_is_away_the_api_is_503_in_its_shape(client: Client, away: None, address: str) -> None:
    answer = client.get(address)
    assert (answer.status_code, answer["Retry-After"]) == (503, "10")
    assert answer.json()["code"] == "database_unavailable"
    assert "Please try again" in answer.json()["detail"]


def test_a_form_that_is_sent_meanwhile_is_503_too(client: Client, away: None) -> None:
    answer = client.post(reverse("account_login"), {"login": "viewer", "password": "any"})
    assert (answer.status_code, answer["Retry-After"]) == (503, "10")


@pytest.mark.parametrize("address", ["/teams/acme/?section=delivery", "/teams/acme/figures/commits/"])
def test_a_page_that_takes_too_long_says_to_ask_for_less(client: Client, blocked: None, address: str) -> None:
    limit("statement_timeout")
    answer = client.get(address)
    assert (answer.status_code, answer["Retry-After"]) == (503, "30")
    assert "a shorter period" in answer.content.decode()


@pytest.mark.parametrize("address", API[:2])
def test_figures_that_take_too_long_say_so_over_the_api(client: Client, blocked: None, address: str) -> None:
    limit("statement_timeout")
    answer = client.get(address)
    assert (answer.status_code, answer["Retry-After"]) == (503, "30")
    assert answer.json()["code"] == "took_too_long"
    assert "a shorter period" in answer.json()["detail"]


def test_a_lock_timeout_is_503_database_unavailable(client: Client, blocked: None) -> None:
    limit("lock_timeout")
    answer = client.get(FIGURES)
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")


def test_an_error_of_ours_stays_500(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE metrics_derivedcommit RENAME TO gone")
    try:
        assert client.get(FIGURES).status_code == 500
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE gone RENAME TO metrics_derivedcommit")

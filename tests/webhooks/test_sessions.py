"""A session has the bounds that it asked for, or it is not used."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import connection

from apps.common.connections import BoundsError, find_fault

ASKED = "-c statement_timeout=3000 -c lock_timeout=2000 -c synchronous_commit=on"


@pytest.fixture
def new_sessions() -> Iterator[None]:
    """Let the test begin sessions of its own."""
    kept = connection.settings_dict
    connection.close()
    yield
    connection.close()
    connection.settings_dict = kept


def ask_for(options: str) -> None:
    connection.settings_dict = {
        **connection.settings_dict,
        "OPTIONS": {**connection.settings_dict["OPTIONS"], "options": options},
    }


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "own", ["", "-c lock_timeout=4s", "--lock-timeout=4000", "-c lock_timeout=500ms", "-c geqo=off"]
)
def test_a_session_with_its_bounds_is_used_be_they_those_of_the_address(new_sessions: None, own: str) -> None:
    ask_for(f"{ASKED} {own}")
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("3s",)


@pytest.mark.django_db(transaction=True)
def test_a_session_without_its_bounds_is_not_used(new_sessions: None) -> None:
    ask_for(rf"{ASKED} -c lock\_timeout=0")  # asked for, and lost: a name in a form that only the server understands
    with pytest.raises(BoundsError, match="not in force: lock_timeout"):
        connection.ensure_connection()
    assert connection.connection is None


@pytest.mark.django_db(transaction=True)
def test_nothing_is_wrong_where_postgresql_itself_is_asked() -> None:
    assert settings.WEB_DATABASE["OPTIONS"]["options"]
    assert find_fault() == ""

"""A body that no program could mean is 400, wherever it is sent."""

import pytest

from tests.api.conftest import Cast

pytestmark = pytest.mark.django_db
TEAM = "/api/v1/teams/acme/"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"name": "\\ud800"}', "half a surrogate pair"),
        ('{"time_zone": "\\ud800"}', "half a surrogate pair"),
        ('{"sync_frequency": "\\ud800"}', "half a surrogate pair"),
        ('{"name": 1e400}', "too large"),
        ('{"name": ' + "9" * 5000 + "}", "not valid JSON"),
        ('{"name": NaN}', "not valid JSON"),
        (b'{"name": "\xff"}', "not valid JSON"),
        ("{", "not valid JSON"),
    ],
)
def test_a_body_that_cannot_be_meant_is_400(cast: Cast, body: str | bytes, words: str) -> None:
    answer = cast.client(cast.admin).patch(TEAM, body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")
    assert words in answer.json()["detail"]


@pytest.mark.parametrize("charset", ["martian", "zlib", "rot13", "utf-16"])
def test_json_is_utf_8_whatever_is_declared(cast: Cast, charset: str) -> None:
    content_type = f"application/json; charset={charset}"
    answer = cast.client(cast.admin).patch(TEAM, b'{"name": "\xc3\xbc"}', content_type=content_type)
    assert (answer.status_code, answer.json()["name"]) == (200, "\u00fc")


@pytest.mark.parametrize(
    ("address", "body"), [("members/", '{"contributor_id": 1e400}'), ("repositories/", '{"repository_id": 1e400}')]
)
def test_an_infinite_id_is_400(cast: Cast, address: str, body: str) -> None:
    answer = cast.client(cast.admin).post(f"{TEAM}{address}", body, content_type="application/json")
    assert answer.status_code == 400


def test_an_unknown_time_zone_is_not_quoted(cast: Cast) -> None:
    answer = cast.client(cast.admin).patch(TEAM, {"time_zone": "Mars/Olympus"}, format="json")
    assert "Mars" not in answer.content.decode()


def test_characters_beyond_the_basic_plane_are_whole(cast: Cast) -> None:
    answer = cast.client(cast.admin).patch(TEAM, '{"name": "\\ud83d\\ude80"}', content_type="application/json")
    assert answer.json()["name"] == "\N{ROCKET}"

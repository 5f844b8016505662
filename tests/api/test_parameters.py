"""Addresses, parameters and bodies that mean nothing are refused, and the answer says what is known."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from apps.activity.models import Contributor
from apps.teams.models import TeamMember
from tests.api.conftest import Cast, make_delivery
from tests.api.test_tenancy import address

pytestmark = pytest.mark.django_db
PATHS: dict[str, Any] = SchemaGenerator().get_schema(public=True)["paths"]  # type: ignore[no-untyped-call]
READ = sorted(path for path, methods in PATHS.items() if "get" in methods)
CHOICES = [
    (path, one["name"], one["schema"]["items"]["enum"])
    for path in READ
    for one in PATHS[path]["get"].get("parameters", ())
    if "enum" in one["schema"].get("items", {})
]


@pytest.mark.parametrize("path", READ)
def test_an_unknown_parameter_is_named_and_a_described_one_is_known(week: Cast, path: str) -> None:
    make_delivery(1)
    described = {one["name"] for one in PATHS[path]["get"].get("parameters", ()) if one["in"] == "query"} - {"format"}
    query = dict.fromkeys((*described, "windw"), "☃")
    answer = week.client(week.operator).get(address(path, cast=week), query)
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["windw"])
    assert all(name in answer.json()["detail"] for name in (*described, "format"))


def test_changing_requests_accept_no_parameters(week: Cast) -> None:
    answer = week.client(week.admin).patch("/api/v1/teams/acme/?name=Mine", {}, format="json")
    assert (answer.status_code, answer.json()["fields"].keys()) == (400, {"name"})


def test_the_links_of_a_page_and_of_a_figure_carry_known_parameters_only(week: Cast) -> None:
    client = week.client(week.viewer)
    figures = "/api/v1/teams/acme/figures/?from=2026-03-02&to=2026-03-09&bots=include&previous=true&figure=prs_merged"
    entities = client.get(figures).json()["figures"][0]["entities_url"]
    first = client.get(f"{entities}&limit=2&format=json").json()
    assert client.get(first["next"]).status_code == 200


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/v1/teams/acme/figures/", "previous"),
        ("/api/v1/teams/acme/figures/prs_merged/", "previous"),
        ("/api/v1/pull-requests/", "is_draft"),
        ("/api/v1/teams/acme/repositories/", "is_archived"),
        ("/api/v1/repositories/", "is_archived"),
    ],
)
def test_a_value_that_is_not_boolean_is_named(week: Cast, path: str, name: str) -> None:
    client = week.client(week.viewer)
    assert [client.get(path, {name: text}).status_code for text in ("true", "False", "1", "0")] == [200] * 4
    answer = client.get(path, {name: "maybe"})
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [name])


def test_a_field_that_can_only_be_read_is_named(week: Cast) -> None:
    answer = week.client(week.admin).patch("/api/v1/teams/acme/", {"slug": "mine", "name": "Mine"}, format="json")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["slug"])
    assert week.client(week.admin).get("/api/v1/teams/acme/").json()["name"] != "Mine"
    members = "/api/v1/teams/acme/members/"
    client = week.client(week.admin)
    member = TeamMember.objects.create(team=week.teams["acme"], contributor=Contributor.objects.earliest("pk"))
    answer = client.patch(f"{members}{member.pk}/", {"id": 7, "contributor": None}, format="json")
    assert (answer.status_code, sorted(answer.json()["fields"])) == (400, ["contributor", "id"])


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
def test_a_body_that_is_not_valid_json_is_400(cast: Cast, body: str | bytes, words: str) -> None:
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


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/api/v1/nonsense/", "/api/v1/teams/x/nonsense/"])
def test_an_unknown_address_is_a_json_404(client, address):
    answer = client.get(address)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.proof
def test_the_root_of_the_api_links_its_lists_for_signed_in_users(cast: Cast) -> None:
    assert APIClient().get("/api/v1/").status_code == 401
    client = cast.client(cast.operator)
    found = client.get("/api/v1/").json()
    assert {"teams", "repositories", "pull_requests", "deliveries", "backfills", "syncs", "schema"} <= set(found)
    assert found["teams"] == "http://testserver/api/v1/teams/"
    assert {client.get(address).status_code for name, address in found.items() if name != "description"} == {200}
    assert client.post("/api/v1/", {}).status_code == 405


@pytest.mark.parametrize(("path", "name", "choices"), CHOICES)
def test_several_values_of_a_column_are_found_without_sorting_all_rows(
    week: Cast, path: str, name: str, choices: list[str]
) -> None:
    make_delivery(1)
    with CaptureQueriesContext(connection) as asked:
        answer = week.client(week.operator).get(address(path, cast=week), {name: choices[:2]})
    assert answer.status_code == 200
    assert [one["sql"] for one in asked if 'SELECT DISTINCT "' in str(one["sql"])] == []

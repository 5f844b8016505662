"""A parameter that is not known is 400 and names those that are; every one that is described is known."""

from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

from apps.activity.models import Contributor
from apps.teams.models import TeamMember
from tests.api.conftest import Cast, make_delivery
from tests.api.test_tenancy import address

pytestmark = pytest.mark.django_db
PATHS: dict[str, Any] = SchemaGenerator().get_schema(public=True)["paths"]  # type: ignore[no-untyped-call]
READ = sorted(path for path, methods in PATHS.items() if "get" in methods)


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

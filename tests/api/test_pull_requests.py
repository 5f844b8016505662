"""Pull requests over the API: found by filters, and told down to where each time comes from."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.activity.models import Provenance
from tests.api.conftest import API, Cast

pytestmark = pytest.mark.django_db
LIST = "/api/v1/pull-requests/"


@pytest.mark.parametrize(
    ("filters", "numbers"),
    [
        ("", {1, 2, 3, 4, 5, 6}),
        ("author=ANA", {1}),
        ("state=merged", {1, 2, 3, 4, 5, 6}),
        ("state=open", set()),
        ("state=closed", set()),
        ("repository=acme/api&number=3", {3}),
        (f"repository={API}&number=3", {3}),
        ("repository=acme/none", set()),
        ("team=acme", {1, 2, 3, 4, 5, 6}),
        ("team=none", set()),
        ("search=CHANGE 4", {4}),
        ("merged_after=2026-03-05T00:00:00Z&merged_before=2026-03-05T16:00:00Z", {3}),
        ("created_after=2026-03-05T00:00:00Z", {5, 6}),
        ("label=bug", set()),
        ("is_draft=true", set()),
    ],
)
def test_filters(week: Cast, filters: str, numbers: set[int]) -> None:
    rows = week.client(week.viewer).get(f"{LIST}?{filters}").json()["results"]
    assert {row["number"] for row in rows} == numbers


def test_order_comes_from_a_list(week: Cast) -> None:
    client = week.client(week.viewer)
    rows = client.get(f"{LIST}?ordering=-number").json()["results"]
    assert [row["number"] for row in rows] == [6, 5, 4, 3, 2, 1]
    refused = client.get(f"{LIST}?ordering=author__password")
    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["ordering"])


def test_a_pull_request_has_the_sources_of_its_numbers(week: Cast) -> None:
    told = week.client(week.viewer).get(f"{LIST}{API}/3/").json()
    assert [event["kind"] for event in told["history"]] == ["head_moved", "closed", "reopened", "closed", "merged"]
    assert [(review["author"]["login"], review["verdict"]) for review in told["reviews"]] == [("ana", "approved")]
    assert (told["derived"]["cycle_seconds"], told["derived"]["is_reopened"]) == (26 * 3600, True)
    sources = Provenance.objects.filter(entity="pull_request", key=f"{API}:3").values_list("source_key", flat=True)
    assert {source["url"] for source in told["provenance"]} == {f"/api/v1/deliveries/{key}/" for key in sources}


def test_lists_and_details_cost_the_same_queries_however_long(week: Cast) -> None:
    counts = []
    for address in (f"{LIST}?limit=1", f"{LIST}?limit=6"):
        client = week.client(week.viewer)
        with CaptureQueriesContext(connection) as queries:
            client.get(address)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 6
    client = week.client(week.viewer)
    with CaptureQueriesContext(connection) as queries:
        client.get(f"{LIST}{API}/1/")
    assert len(queries) <= 9

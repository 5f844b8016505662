"""The explanation of a pull request over the API."""

import pytest

from apps.activity.models import Provenance
from tests.api.conftest import API, Cast, make_delivery

pytestmark = pytest.mark.django_db
ADDRESS = f"/api/v1/teams/{{slug}}/pull-requests/{API}/{{number}}/explain/"


def test_a_viewer_of_the_team_reads_why_each_instant_is_what_it_is(week: Cast) -> None:
    answer = week.client(week.viewer).get(ADDRESS.format(slug="acme", number=1))
    assert answer.status_code == 200, answer.content
    document = answer.json()
    assert (document["team"], document["number"], document["account"]) == ("acme", 1, "ana")
    review = next(each for each in document["boundaries"] if each["boundary"] == "first_review")
    assert review["at"] == "2026-03-02T16:00:00Z"
    assert review["rejected"] == {"by_bot": 1, "by_author": 1, "later": 1}
    assert [each["name"] for each in review["candidates"] if each["is_chosen"]] != []


@pytest.mark.parametrize(
    ("user", "slug", "number"), [("stranger", "acme", 1), ("operator", "umbrella", 1), ("viewer", "acme", 99)]
)
def test_a_pull_request_that_the_team_does_not_track_is_404(week: Cast, user: str, slug: str, number: int) -> None:
    answer = week.client(getattr(week, user)).get(ADDRESS.format(slug=slug, number=number))
    assert answer.status_code == 404
    assert set(answer.json()) == {"detail", "code"}


def test_bots_count_where_they_are_included(week: Cast) -> None:
    client, address = week.client(week.viewer), ADDRESS.format(slug="acme", number=4)
    reasons = {}
    for bots in ("exclude", "include"):
        figures = client.get(address, {"bots": bots}).json()["figures"]
        reasons[bots] = next(each["reason"] for each in figures if each["figure"] == "prs_merged")
    assert reasons == {"exclude": "bot", "include": ""}
    assert client.get(address, {"bots": "some"}).json()["fields"].keys() == {"bots"}
    assert client.get(address, {"author": "ana"}).status_code == 400


def test_a_delivery_is_named_by_its_guid_and_address(week: Cast) -> None:
    address, client = ADDRESS.format(slug="acme", number=1), week.client(week.viewer)
    delivery = make_delivery(1)
    key = {"entity": "pull_request", "key": f"{API}:1", "source": "delivery", "source_key": str(delivery.pk)}
    Provenance.objects.get_or_create(**key)
    merged = next(each for each in client.get(address).json()["boundaries"] if each["boundary"] == "merged")
    [source] = [each for each in merged["sources"] if each["source_key"] == str(delivery.pk)]
    assert (source["guid"], source["event"]) == (str(delivery.guid), delivery.event)
    assert source["url"] == f"/api/v1/deliveries/{delivery.pk}/"

"""The inbox over the API."""

from base64 import b64encode
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from apps.activity.models import Contributor, Installation
from apps.webhooks.models import Delivery, DeliveryBody
from tests.api.conftest import SECRETS, Cast, make_delivery
from tests.metrics.steps import person
from tests.shared_rows import shared_rows

pytestmark = pytest.mark.django_db
LIST = "/api/v1/deliveries/"


def finished(state: str, **columns: Any) -> dict[str, Any]:
    return {"state": state, "finished_at": timezone.now(), **columns}


@pytest.fixture
@shared_rows
def inbox(cast: Cast) -> Cast:
    make_delivery(1)
    make_delivery(2, event="push", action="", **finished("processed"))
    make_delivery(3, installation_id=55, **finished("dead", reason="crashed"))
    make_delivery(4, repository_id=SECRETS)
    Delivery.objects.filter(guid="00000000-0000-0000-0000-000000000001").update(
        received_at=timezone.now() - timedelta(days=3)
    )
    return cast


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ("", {1, 2, 3}),
        ("state=received", {1}),
        ("state=received&state=dead", {1, 3}),
        ("event=push", {2}),
        ("action=opened", {1, 3}),
        ("reason=crashed", {3}),
        ("repository=101", {1, 2, 3}),
        ("repository=801", set()),
        ("installation=55", {3}),
        ("guid=00000000-0000-0000-0000-000000000002", {2}),
        ("guid=00000000-0000-0000-0000-000000000004", set()),
    ],
)
def test_filters_find_only_rows_of_the_user(inbox: Cast, filters: str, found: set[int]) -> None:
    rows = inbox.client(inbox.viewer).get(f"{LIST}?{filters}").json()["results"]
    assert {int(row["guid"].replace("-", ""), 16) for row in rows} == found


def test_a_day_narrows_the_list(inbox: Cast) -> None:
    yesterday = (timezone.now() - timedelta(days=1)).isoformat().replace("+00:00", "Z")
    client = inbox.client(inbox.viewer)
    assert len(client.get(f"{LIST}?received_after={yesterday}").json()["results"]) == 2
    assert len(client.get(f"{LIST}?received_before={yesterday}").json()["results"]) == 1


@pytest.mark.parametrize("filters", ["state=lost", "guid=7", "received_after=soon", "repository=x"])
def test_a_bad_filter_is_400(inbox: Cast, filters: str) -> None:
    answer = inbox.client(inbox.viewer).get(f"{LIST}?{filters}")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [filters.partition("=")[0]])


@pytest.mark.parametrize("narrowed", [{}, {"received_after": "2026-03-02T00:00:00Z"}])
@pytest.mark.parametrize("position", ["abc", "\0", "1.5", "9" * 5000, "2026-13-01 00:00Z"])
def test_a_cursor_made_elsewhere_is_404(inbox: Cast, position: str, narrowed: dict[str, str]) -> None:
    cursor = b64encode(urlencode({"p": position}).encode()).decode()
    answer = inbox.client(inbox.viewer).get(LIST, {"cursor": cursor, **narrowed})
    assert (answer.status_code, answer.json()["detail"]) == (404, "Invalid cursor")


def test_pages_are_stable_while_deliveries_arrive(inbox: Cast) -> None:
    client = inbox.client(inbox.viewer)
    first = client.get(f"{LIST}?limit=2").json()
    make_delivery(9)
    second = client.get(first["next"]).json()
    numbers = [int(row["guid"].replace("-", ""), 16) for page in (first, second) for row in page["results"]]
    assert numbers == [3, 2, 1]


def test_an_account_sees_deliveries_that_name_no_repository(cast: Cast) -> None:
    Installation.objects.create(github_id=70, account=Contributor.objects.get(pk=person("acme")))
    make_delivery(1, repository_id=None, installation_id=70)
    make_delivery(2, repository_id=None, installation_id=71)
    make_delivery(3, repository_id=SECRETS, installation_id=70)
    rows = cast.client(cast.viewer).get(LIST).json()["results"]
    assert [row["installation_id"] for row in rows] == [70]


def test_a_delivery_never_carries_its_body(inbox: Cast) -> None:
    data = inbox.client(inbox.operator).get(f"{LIST}{Delivery.objects.earliest('id').pk}/").json()
    assert (data["source"], data["body_sha256"], data["size"]) == ("webhook", "00" * 32, 15)
    assert not {"body", "headers", "signed_by"} & set(data)


def test_an_operator_reads_the_body_as_it_was_signed(inbox: Cast) -> None:
    delivery = Delivery.objects.earliest("id")
    client = inbox.client(inbox.operator)
    address = f"{LIST}{delivery.pk}/body/"
    assert client.get(address).json() == {
        "headers": {"x-github-event": "ping"},
        "encoding": "utf-8",
        "content": '{"zen": "ü"}',
    }
    DeliveryBody.objects.filter(delivery=delivery).update(content=b"\xff")
    assert client.get(address).json()["encoding"] == "base64"
    DeliveryBody.objects.all().delete()
    assert (client.get(address).status_code, client.get(address).json()["code"]) == (410, "body_expired")


def test_a_replay_makes_a_delivery_due_again(inbox: Cast) -> None:
    dead = Delivery.objects.get(state="dead")
    client = inbox.client(inbox.operator)
    assert client.post(f"{LIST}{dead.pk}/replay/").status_code == 202
    dead.refresh_from_db()
    assert (dead.state, dead.source, dead.attempts) == ("received", Delivery.Source.REPLAY, 0)
    Delivery.objects.filter(pk=dead.pk).update(state="running", lease_until=timezone.now() + timedelta(minutes=1))
    refused = client.post(f"{LIST}{dead.pk}/replay/")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_replayable")


@pytest.mark.proof
def test_replays_are_throttled(inbox: Cast) -> None:
    client = inbox.client(inbox.operator)
    delivery = Delivery.objects.earliest("id")
    statuses = [client.post(f"{LIST}{delivery.pk}/replay/").status_code for _ in range(31)]
    assert (statuses[29], statuses[30]) == (202, 429)

"""No list or page reads the whole inbox: each narrowing has its index, and counting ends at 10,000."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import F
from django.test import Client
from django.urls import reverse

from apps.activity.models import Contributor, Repository
from apps.common import admin
from apps.teams.models import Team, TeamAccess
from apps.webhooks.inbox_overview import find_values, latest_received_at
from apps.webhooks.models import Delivery
from tests.plans import explaining

pytestmark = [pytest.mark.django_db, pytest.mark.proof]
ROWS = """
INSERT INTO webhooks_delivery (hook_id, guid, event, action, installation_id, repository_id, body_sha256, size, source,
    state, reason, received_at, finished_at)
SELECT 7, md5(i::text)::uuid, CASE WHEN i % 500 = 1 THEN 'release' ELSE 'push' END,
       CASE WHEN i % 500 = 1 THEN 'published' ELSE 'created' END, i % 300, i % 900, decode(md5(i::text), 'hex'), 0,
       (i % 500 = 1)::int, CASE WHEN i % 500 = 1 THEN 'dead' ELSE 'processed' END,
       CASE WHEN i % 500 = 1 THEN 'crashed' ELSE '' END, timestamptz '2026-01-01' + i * interval '1 min', now()
FROM generate_series(1, 30000) AS i
"""


@pytest.fixture(autouse=True)
def inbox() -> None:
    """30,000 deliveries, 60 of which are unlike the others."""
    with connection.cursor() as cursor:
        cursor.execute(ROWS)
        cursor.execute("ANALYZE webhooks_delivery")


def signed_in(name: str, *, is_operator: bool = True) -> Client:
    client = Client()
    users = get_user_model().objects
    user = users.create_superuser(name) if is_operator else users.create_user(name)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def scans_of_the_inbox(client: Client, address: str) -> list[str]:
    """The plans of one answer that read the whole inbox: without an index, and without an end."""
    plans: list[str] = []
    with connection.execute_wrapper(explaining(plans)):
        assert client.get(address).status_code == 200
    of_inbox = [plan for plan in plans if "webhooks_delivery" in plan or "delivery_" in plan]
    assert of_inbox
    return [plan for plan in of_inbox if "Seq Scan on webhooks_delivery" in plan and "Limit" not in plan]


@pytest.mark.parametrize(
    ("narrowing", "index"),
    [
        ("event=release", "delivery_of_event"),
        ("event=gollum", "delivery_of_event"),
        ("action=published", "delivery_of_action"),
        ("installation=7", "delivery_of_installation"),
        ("repository=7", "delivery_of_repository"),
        ("guid=c4ca4238-a0b9-2382-0dcc-509a6f75849b", "a_delivery_has_one_row_per_hook_and_guid"),
        ("state=dead", "delivery_by_state"),
        ("reason=crashed", "delivery_by_reason"),
        ("received_after=2026-01-03T00:00:00Z&received_before=2026-01-03T01:00:00Z", "delivery_by_time"),
        ("received_before=2026-01-12T00:00:00Z", "delivery_by_time"),
        ("", "webhooks_delivery_pkey"),
    ],
)
def test_the_api_finds_deliveries_by_the_index_of_what_narrows_them(narrowing: str, index: str) -> None:
    plans: list[str] = []
    client = signed_in("operator")
    with connection.execute_wrapper(explaining(plans)):
        assert client.get(f"{reverse('delivery-list')}?{narrowing}").status_code == 200
    assert any(index in plan for plan in plans), plans


@pytest.mark.parametrize(
    "narrowing",
    [
        "",
        "state__exact=dead",
        "state__exact=processed",
        "source__exact=1",
        "reason=crashed",
        "event=push",
        "event=gollum",
        "is_conflict__exact=1",
        "is_replayed_body__exact=1",
        "is_sanitised__exact=1",
        "q=release",
        "q=7",
        "q=c4ca4238-a0b9-2382-0dcc-509a6f75849b",
    ],
)
def test_the_admin_never_reads_the_whole_inbox(narrowing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "COUNTED_EXACTLY", 100)
    address = f"{reverse('admin:webhooks_delivery_changelist')}?{narrowing}"
    assert not scans_of_the_inbox(signed_in("operator"), address)


def test_a_long_filtered_list_is_counted_by_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "COUNTED_EXACTLY", 100)
    few, many = Delivery.objects.filter(event="release"), Delivery.objects.filter(event="push")
    assert admin.EstimatingPaginator(few, 50).count == 60
    assert 20_000 < admin.EstimatingPaginator(many, 50).count < 40_000


def test_the_filters_offer_the_values_that_there_are() -> None:
    assert (find_values("event"), find_values("reason")) == (["push", "release"], ["crashed"])
    page = signed_in("operator").get(reverse("admin:webhooks_delivery_changelist"), {"event": "release"})
    assert {row.event for row in page.context["cl"].result_list} == {"release"}


def test_the_last_delivery_of_many_repositories_is_found_without_reading_theirs() -> None:
    plans: list[str] = []
    with connection.execute_wrapper(explaining(plans)):
        assert latest_received_at(range(1, 900)) == Delivery.objects.latest("received_at").received_at
    assert "delivery_of_repository" in plans[0]
    assert latest_received_at([]) is None


def test_the_deliveries_of_a_time_come_newest_first_on_pages_that_miss_none() -> None:
    client = signed_in("operator")
    Delivery.objects.filter(id__in=Delivery.objects.order_by("id").values("id")[:3]).update(
        received_at="2026-01-09T00:00Z"
    )
    address: str | None = f"{reverse('delivery-list')}?received_after=2026-01-08T23:00:00Z&limit=25"
    address += "&received_before=2026-01-09T01:00:00Z"
    found: list[str] = []
    while address:
        page = client.get(address).json()
        found += [row["received_at"] for row in page["results"]]
        address = page["next"]
    assert len(found) == 120 + 3
    assert found == sorted(found, reverse=True)
    assert found.count("2026-01-09T00:00:00Z") == 1 + 3


def test_an_event_that_only_others_have_is_not_looked_for_among_theirs() -> None:
    Delivery.objects.filter(repository_id__lt=700).update(repository_id=F("repository_id") % 100, event="check_run")
    owner = Contributor.objects.create(github_id=1, login="acme", kind="organization")
    Repository.objects.bulk_create(
        Repository(github_id=number, full_name=f"acme/{number}", owner=owner) for number in range(700, 900)
    )
    Delivery.objects.filter(repository_id__gte=700, id__gt=Delivery.objects.earliest("id").id + 900).delete()
    viewer = get_user_model().objects.create_user("viewer")
    TeamAccess.objects.create(team=Team.objects.create(name="Acme", slug="acme", account=owner), user=viewer)
    client = Client()
    client.force_login(viewer, backend="django.contrib.auth.backends.ModelBackend")
    plans: list[str] = []
    with connection.execute_wrapper(explaining(plans)):
        assert client.get(reverse("delivery-list"), {"event": "check_run"}).json()["results"] == []
    listing = [plan for plan in plans if "webhooks_delivery" in plan][-1]
    assert "delivery_of_repository" in listing
    assert "(id + 0)" in listing, "no index has this order: none can be read to its end for it"


def test_a_person_who_sees_little_gets_it_by_index() -> None:
    owner = Contributor.objects.create(github_id=1, login="acme", kind="organization")
    Repository.objects.create(github_id=7, full_name="acme/api", owner=owner)
    client = signed_in("viewer", is_operator=False)
    viewer = get_user_model().objects.get(username="viewer")
    TeamAccess.objects.create(team=Team.objects.create(name="Acme", slug="acme", account=owner), user=viewer)
    plans: list[str] = []
    with connection.execute_wrapper(explaining(plans)):
        found: Any = client.get(reverse("delivery-list")).json()["results"]
    assert {row["repository_id"] for row in found} == {7}
    of_inbox = [plan for plan in plans if "webhooks_delivery" in plan]
    assert of_inbox
    assert all("delivery_of_repository" in plan for plan in of_inbox)

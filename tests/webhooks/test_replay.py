"""Deliveries are processed again by command, API and admin."""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.test import Client
from django.urls import reverse

from apps.activity.models import PullRequestEvent
from apps.webhooks import retention
from apps.webhooks.claims import claim_batch
from apps.webhooks.models import Delivery, DeliveryBody, WebhookSecret
from apps.webhooks.replay import Filter, find, replay
from apps.webhooks.retention import create_days, prune_bodies
from apps.webhooks.signature import fingerprint_of
from tests.github.translation import Door, read
from tests.metrics.steps import record_facts, repository
from tests.webhooks.conftest import HOOK_ID, GitHub, MadeUpEvent, drain, eventually, make_due, only
from tests.webhooks.test_claiming import keep

pytestmark = pytest.mark.django_db
OLD = "2020-01-01T00:00:00Z"


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_a_replay_processes_a_finished_delivery_again(github: GitHub, made_up_event: MadeUpEvent) -> None:
    github.deliver()
    drain()
    before = only()
    assert replay(find(Filter(key=before.key))) == 1
    waiting = only()
    assert (waiting.state, waiting.source, waiting.finished_at) == ("received", Delivery.Source.REPLAY, None)
    drain()
    assert (only().state, only().claim_number) == ("processed", before.claim_number + 1)
    assert [event.guid for event in made_up_event.seen] == [str(before.guid)] * 2
    assert made_up_event.seen[1].received_at == before.received_at


@pytest.mark.parametrize(
    ("name", "kind"), [("dequeued", "dequeued"), ("auto_merge_enabled",) * 2, ("edited.base", "base_changed")]
)
def test_a_replay_brings_what_a_version_has_learned_to_read(name: str, kind: str) -> None:
    event, payload = read(f"pull_request.{name}")
    assert Door().post(event, payload).status_code == 202
    drain()
    events = PullRequestEvent.objects.filter(kind=kind)
    before = list(events.values_list("kind", "subject", "at", "reason"))
    events.delete()  # an older version left none
    assert replay(find(Filter(event="pull_request"))) == 1
    drain()
    assert list(PullRequestEvent.objects.values_list("kind", "subject", "at", "reason")) == before != []


def test_a_replay_forces_a_dead_or_quarantined_delivery() -> None:
    keep(state="dead", finished_at=OLD, crashes=3, attempts=7, reason="crashed", error="x")
    keep(state="quarantined", finished_at=OLD, reason="shape_mismatch")
    replay(Delivery.objects.all())
    assert set(Delivery.objects.values_list("state", "crashes", "attempts", "reason", "error")) == {
        ("received", 0, 0, "", "")
    }


def test_what_runs_or_has_no_body_is_not_replayed() -> None:
    keep(state="running", lease_until="2999-01-01T00:00:00Z")
    keep(state="processed", finished_at=OLD)
    DeliveryBody.objects.filter(delivery__in=Delivery.objects.filter(state="processed")).delete()
    assert replay(Delivery.objects.all()) == 0


@contextmanager
def replayed_meanwhile() -> Iterator[list[int]]:
    """What happens inside is committed only while a replay of everything waits for it; the list gets its answer."""
    answers: list[int] = []

    def replay_all() -> None:
        try:
            answers.append(replay(Delivery.objects.all()))
        finally:
            connections.close_all()

    other = threading.Thread(target=replay_all)
    with transaction.atomic():
        yield answers
        other.start()
        eventually(is_somebody_waiting)
    other.join(20)


def meanwhile(work: Callable[[], Any]) -> Any:
    """Return what work gives on a connection of its own, while the transaction at hand is open."""

    def work_and_close() -> Any:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work_and_close).result(60)


def is_somebody_waiting() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # else a transaction sees who was there when it first looked
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks waiting JOIN pg_stat_activity USING (pid) "
            "WHERE NOT waiting.granted AND datname = current_database())"
        )
        return bool(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_a_replay_that_meets_a_claim_leaves_it_alone() -> None:
    keep()
    with replayed_meanwhile() as answers:
        claim_batch([], task_id="t")
    assert answers == [0]
    assert (only().state, only().leased_by) == ("running", "t")


@pytest.mark.django_db(transaction=True)
def test_a_replay_that_meets_retention_leaves_alone_what_lost_its_body() -> None:
    create_days(today=date(2020, 1, 1))
    keep(state="processed", received_at=OLD, finished_at=OLD)
    with replayed_meanwhile() as answers:
        assert date(2020, 1, 1) in prune_bodies().days
    assert answers == [0]
    assert only().state == "processed"


@pytest.mark.django_db(transaction=True)
def test_retention_that_meets_a_replay_drops_nothing_that_it_needs(
    monkeypatch: pytest.MonkeyPatch, made_up_event: MadeUpEvent
) -> None:
    monkeypatch.setattr(retention, "MOST_TRIES", 1)
    create_days(today=date(2020, 1, 1))
    keep(state="processed", received_at=OLD, finished_at=OLD)
    with transaction.atomic():
        assert Delivery.objects.all().replay() == 1
        assert meanwhile(prune_bodies).days == []
    expired = prune_bodies()
    assert (date(2020, 1, 1) in expired.days, expired.saved) == (True, 1)
    drain()
    assert (only().state, len(made_up_event.seen)) == ("processed", 1)


@pytest.mark.django_db(transaction=True)
def test_a_replay_during_the_drop_of_a_day_leaves_no_delivery_without_body() -> None:
    """Retention has seen that nobody needs a body of the day; a replay that comes before the day is gone waits."""
    create_days(today=date(2020, 1, 1))
    keep(state="processed", received_at=OLD, finished_at=OLD)
    replays: list[Future[int]] = []

    def replay_before_drop(execute: Any, sql: Any, parameters: Any, many: bool, context: Any) -> Any:
        if "DROP TABLE" in str(sql) and not replays:
            replays.append(pool.submit(meanwhile, lambda: replay(Delivery.objects.all())))
            eventually(lambda: replays[0].done() or meanwhile(is_somebody_waiting))
        return execute(sql, parameters, many, context)

    with ThreadPoolExecutor(1) as pool, connection.execute_wrapper(replay_before_drop):
        assert date(2020, 1, 1) in prune_bodies().days
        assert replays[0].result() == 0
    assert only().state == "processed"


def test_a_replay_by_filter_takes_what_fits_every_part() -> None:
    keep(3, state="dead", finished_at=OLD, repository_id=1)
    keep(2, state="dead", finished_at=OLD, repository_id=2)
    keep(1, state="processed", finished_at=OLD, repository_id=1)
    assert run("replay", "--state", "dead", "--repository", "1", "--dry-run") == "3 deliveries would be replayed.\n"
    assert run("replay", "--state", "dead", "--repository", "1") == "3 deliveries will be processed again.\n"
    assert run("replay", "--all", "--since", "2020-01-01", "--until", "2020-01-02", "--dry-run").startswith("0 ")
    assert run("replay", "--state", "processed") == "1 delivery will be processed again.\n"


def test_a_replay_by_key_or_guid_names_one_delivery(github: GitHub) -> None:
    guid = str(uuid.uuid4())
    github.deliver(guid=guid)
    drain()
    assert run("replay", guid).startswith("1 ")
    make_due()
    assert run("replay", f"{HOOK_ID}:{guid}", "--dry-run").startswith("1 ")


@pytest.mark.parametrize("arguments", [[], ["no-key"], [str(uuid.uuid4())]])
def test_a_replay_of_nothing_is_an_error(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        run("replay", *arguments)


def test_the_inbox_command_shows_states_and_ages() -> None:
    keep(2, received_at=OLD)
    keep(3, state="processed", finished_at=OLD)
    answer = json.loads(run("inbox", "--json"))
    assert answer["states"] == {
        "received": 2,
        "running": 0,
        "processed": 3,
        "ignored": 0,
        "quarantined": 0,
        "failed": 0,
        "dead": 0,
    }
    assert answer["oldest_waiting_s"] > 24 * 3600
    assert answer["lag_s"] > 0
    shown = run("inbox")
    assert "received             2  waits for a worker" in shown
    assert "Is a worker running?" in shown


def test_an_empty_inbox_has_nothing_waiting() -> None:
    answer = json.loads(run("inbox", "--json"))
    assert (answer["oldest_waiting_s"], answer["lag_s"]) == (0, 0)
    assert run("inbox").endswith("No delivery is waiting.\n")


DELIVERIES = "admin:webhooks_delivery_changelist"


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(
        get_user_model().objects.create_superuser("operator"), backend="django.contrib.auth.backends.ModelBackend"
    )
    return client


def test_deliveries_are_listed_and_found(operator: Client) -> None:
    keep(2, repository_id=7)
    keep(1, repository_id=8, event="another_event")
    wanted = Delivery.objects.get(repository_id=8)
    for term in (str(wanted.guid), wanted.key, "8", "another_event"):
        page = operator.get(reverse(DELIVERIES), {"q": term})
        assert page.status_code == 200
        assert [row.pk for row in page.context["cl"].result_list] == [wanted.pk], term
    assert operator.get(reverse(DELIVERIES), {"state__exact": "received"}).status_code == 200


def test_the_list_says_what_came_from_where_and_when(operator: Client) -> None:
    record_facts(repository(7, full_name="acme/api"))
    keep(repository_id=7, event="pull_request", action="opened", received_at=datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC))
    keep(repository_id=8, state="quarantined", finished_at=datetime(2026, 3, 2, tzinfo=UTC))
    page = operator.get(reverse(DELIVERIES)).content.decode()
    for shown in ("2026-03-02 15:04:05", "pull_request.opened", "acme/api", "quarantined"):
        assert shown in page


def test_what_is_not_so_is_no_alarm(operator: Client) -> None:
    keep()
    page = operator.get(reverse("admin:webhooks_delivery_change", args=[only().pk])).content.decode()
    assert "close_small" not in page, "unfold's red cross"
    assert ">no<" in page


def test_a_body_is_shown_on_demand_and_escaped(github: GitHub, operator: Client) -> None:
    github.deliver({"action": "happened", "title": "<script>alert(1)</script>"})
    url = reverse("admin:webhooks_delivery_change", args=[only().pk])
    assert "alert(1)" not in operator.get(url).content.decode()
    page = operator.get(url, {"body": "1"}).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert(1)" not in page


@pytest.mark.parametrize("content", [b"\xff\x00<b>", b"[" * 1000, b""])
def test_an_unusable_body_is_shown_as_it_is(github: GitHub, operator: Client, content: bytes) -> None:
    github.post(content)
    url = reverse("admin:webhooks_delivery_change", args=[only().pk])
    assert operator.get(url, {"body": "1"}).status_code == 200


def test_an_expired_body_is_said_to_be(operator: Client) -> None:
    keep()
    DeliveryBody.objects.all().delete()
    page = operator.get(reverse("admin:webhooks_delivery_change", args=[only().pk]), {"body": "1"})
    assert "The body has expired." in page.content.decode()


def test_an_operator_replays_what_is_selected(github: GitHub, operator: Client) -> None:
    github.deliver()
    drain()
    operator.post(reverse(DELIVERIES), {"action": "replay_selected", "_selected_action": [only().pk]})
    assert (only().state, only().source) == ("received", Delivery.Source.REPLAY)


def test_deliveries_cannot_be_edited(operator: Client) -> None:
    keep()
    url = reverse("admin:webhooks_delivery_change", args=[only().pk])
    assert operator.post(url, {"state": "processed"}).status_code == 403
    assert operator.get(reverse("admin:webhooks_delivery_add")).status_code == 403
    assert operator.post(reverse("admin:webhooks_delivery_delete", args=[only().pk])).status_code == 403


def test_a_secret_goes_in_and_never_comes_out(operator: Client) -> None:
    value = "a-secret-from-the-admin"
    answer = operator.post(
        reverse("admin:webhooks_webhooksecret_add"),
        {"label": "new one", "value": value, "not_after_0": "", "not_after_1": ""},
    )
    assert answer.status_code == 302
    stored = WebhookSecret.objects.get()
    assert stored.slot == fingerprint_of(value).name
    assert GitHub(secret=value).deliver().status_code == 202
    page = operator.get(reverse("admin:webhooks_webhooksecret_change", args=[stored.pk])).content.decode()
    assert value not in page
    assert bytes(stored.encrypted_value).decode() not in page


@pytest.mark.parametrize("value", ["", "weak"])
def test_a_weak_secret_is_refused_in_the_form(operator: Client, value: str) -> None:
    operator.post(reverse("admin:webhooks_webhooksecret_add"), {"label": "x", "value": value})
    assert not WebhookSecret.objects.exists()


def test_refusals_are_listed(operator: Client) -> None:
    GitHub(secret="not-the-secret-of-this-app").deliver()
    assert "bad_signature" in operator.get(reverse("admin:webhooks_refusal_changelist")).content.decode()

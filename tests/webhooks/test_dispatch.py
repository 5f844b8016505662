"""The look into the inbox that replaces lost messages."""

import json
from collections.abc import Iterator

import pytest
import redis
from django.conf import settings
from django.db import connection

from apps.activity.models import Change
from apps.metrics.recalculation import RECALCULATE_TASK, dispatch_changes
from apps.webhooks import wakeups
from apps.webhooks.claims import claim_batch
from apps.webhooks.models import Delivery
from apps.webhooks.wakeups import dispatch_deliveries
from tests.plans import explaining
from tests.webhooks.conftest import expire_leases
from tests.webhooks.proxies import refused_port
from tests.webhooks.test_claiming import keep

pytestmark = pytest.mark.django_db
LONG_AGO = "2020-01-01T00:00:00Z"


@pytest.fixture
def queue() -> Iterator[redis.Redis]:
    broker = redis.Redis.from_url(settings.CELERY_BROKER_URL)
    broker.delete("live", "figures")
    yield broker
    broker.delete("live", "figures")
    broker.close()


def named(broker: redis.Redis) -> list[list[int]]:
    """The ids in each message to the workers, as they were sent; a worker of the suite may share the broker."""
    known = set(Delivery.objects.values_list("id", flat=True))
    sent = [json.loads(one["argsrepr"])[0] for one in headers(broker, "live") if one["task"] == wakeups.PROCESS_TASK]
    return [ids for ids in sent if known.intersection(ids)]


def headers(broker: redis.Redis, queue: str) -> list[dict[str, str]]:
    return [json.loads(raw)["headers"] for raw in reversed(broker.lrange(queue, 0, -1))]


def test_workers_are_notified_once_of_due_deliveries_whose_wake_up_was_lost(queue: redis.Redis) -> None:
    notified_lately = keep(2)
    forgotten = keep(3, notified_at=LONG_AGO)
    assert dispatch_deliveries().deliveries == 3
    assert named(queue) == [forgotten]
    assert dispatch_deliveries().deliveries == 0
    assert set(notified_lately).isdisjoint(forgotten)


def test_what_is_due_is_searched_for_once_also_in_a_table_that_seemed_empty(queue: redis.Redis) -> None:
    plans: list[str] = []
    explain = explaining(plans)  # of tables that are empty
    keep(3, notified_at=LONG_AGO)
    with connection.execute_wrapper(explain):
        assert dispatch_deliveries().deliveries == 3
    (mark,) = [plan for plan in plans if plan.startswith("Update on webhooks_delivery")]
    assert "Join" not in mark
    assert "Nested Loop" not in mark


def test_50_are_named_in_a_message(queue: redis.Redis) -> None:
    keep(120, notified_at=LONG_AGO)
    assert dispatch_deliveries().messages == 3
    assert [len(ids) for ids in named(queue)] == [50, 50, 20]


def test_what_is_not_due_or_is_finished_or_runs_is_left_alone(queue: redis.Redis) -> None:
    keep(notified_at=LONG_AGO, not_before="2999-01-01T00:00:00Z", state="failed")
    keep(notified_at=LONG_AGO, state="processed", finished_at=LONG_AGO)
    keep(notified_at=LONG_AGO, state="running", lease_until="2999-01-01T00:00:00Z")
    assert dispatch_deliveries().deliveries == 0


def test_workers_are_notified_of_an_expired_lease(queue: redis.Redis) -> None:
    abandoned = keep()
    claim_batch([], task_id="t")
    expire_leases()
    Delivery.objects.update(notified_at=LONG_AGO)
    dispatch_deliveries()
    assert named(queue) == [abandoned]


def test_workers_are_notified_only_of_changes_that_waited(queue: redis.Redis) -> None:
    assert not dispatch_changes()
    Change.objects.create(kind="pull_request", key="1:1")
    assert not dispatch_changes()
    Change.objects.update(recorded_at=LONG_AGO)
    assert dispatch_changes()
    assert RECALCULATE_TASK in {one["task"] for one in headers(queue, "figures")}


def test_a_dead_broker_leaves_the_deliveries_for_the_next_look(
    queue: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten = keep(notified_at=LONG_AGO)

    def publish(ids: object, **_: object) -> None:
        raise ConnectionRefusedError(refused_port())

    monkeypatch.setattr(wakeups, "publish", publish)
    assert dispatch_deliveries().messages == 0
    monkeypatch.undo()
    Delivery.objects.update(notified_at=LONG_AGO)
    dispatch_deliveries()
    assert named(queue) == [forgotten]

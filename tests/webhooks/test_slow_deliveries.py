"""Deliveries that ran out of time, or could not be recorded: alone from then on, one at a time, after all others."""

import subprocess
from collections.abc import Callable, Iterator

import pytest
import redis
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from apps.webhooks import claims, wakeups
from apps.webhooks.claims import SLOW_MAY_WAIT_S, claim_batch, claim_slow, claim_suspect
from apps.webhooks.models import Delivery, DeliveryBody
from tests.webhooks.conftest import GitHub, MadeUpEvent, drain, drain_slow, eventually, expire_leases, make_due, only
from tests.webhooks.test_claiming import claimed_ids, keep
from tests.webhooks.test_dispatch import LONG_AGO, headers
from tests.webhooks.test_worker import empty_queue, start_worker, stop_worker

pytestmark = pytest.mark.django_db
__all__ = ["empty_queue"]


def keep_slow(count: int = 1, **columns: object) -> list[int]:
    """Slow deliveries that have been due for a moment."""
    values = {"state": "failed", "reason": "timed_out", "attempts": 1, "is_slow": True, "not_before": Now(), **columns}
    return keep(count, **values)


@pytest.mark.django_db(transaction=True)
def test_one_that_ran_out_of_time_never_joins_a_batch_again(github: GitHub) -> None:
    github.deliver({"action": "takes_too_long"})
    drain()
    assert (only().state, only().reason, only().is_slow) == ("failed", "timed_out", True)
    slow = only().id
    neighbours = keep(2)
    make_due()
    assert claimed_ids(claim_batch([slow, *neighbours], task_id="t")) == neighbours


@pytest.mark.parametrize(("action", "is_slow"), [("breaks", False), ("happened", True)])
def test_one_that_could_not_be_recorded_is_alone_and_one_with_a_broken_translator_is_not(
    github: GitHub, made_up_event: MadeUpEvent, action: str, is_slow: bool
) -> None:
    made_up_event.make_facts = lambda event: ("not a fact",)
    github.deliver({"action": action})
    drain()
    assert (only().state, only().is_slow) == ("failed", is_slow)


@pytest.mark.django_db(transaction=True)
def test_it_has_its_seven_attempts_and_then_dies(github: GitHub) -> None:
    github.deliver({"action": "takes_too_long"})
    drain()
    for attempts in range(2, 8):
        make_due()
        assert (drain(), drain_slow(), only().attempts) == (0, 1, attempts)
    assert (only().state, only().reason) == ("dead", "timed_out")


@pytest.mark.parametrize("come_again", ["replay", "redelivery"])
def test_it_stays_alone_when_it_is_replayed_or_delivered_again(github: GitHub, come_again: str) -> None:
    guid = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
    github.deliver(guid=guid)
    Delivery.objects.update(state="dead", finished_at=Now(), reason="timed_out", attempts=7, is_slow=True)
    if come_again == "replay":
        Delivery.objects.all().replay()
    else:
        github.deliver(guid=guid)
    assert (drain(), drain_slow()) == (0, 1)
    assert only().state == "processed"


def test_one_at_a_time_is_processed_among_all_workers() -> None:
    first, second = keep_slow(2)
    claimed = claim_slow(task_id="t")
    assert claimed is not None
    assert claimed.id == first
    assert claim_slow(task_id="another worker's") is None
    Delivery.objects.filter(id=first).update(state="processed", finished_at=Now(), lease_until=None)
    following = claim_slow(task_id="another worker's")
    assert following is not None
    assert following.id == second


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_that_look_at_once_one_claims(other_connection: Callable[..., None]) -> None:
    keep_slow(2)
    other_connection("BEGIN")
    other_connection(claims._LOCK_SLOW_CLAIM)
    assert claim_slow(task_id="t") is None
    other_connection("ROLLBACK")
    assert claim_slow(task_id="t") is not None


@pytest.fixture
def other_connection() -> Iterator[Callable[..., None]]:
    """Another session of the database, that runs what it is given."""
    other = connection.copy()

    def run(statement: str, parameters: object = None) -> None:
        with other.cursor() as cursor:
            cursor.execute(statement, parameters)

    yield run
    other.close()


def test_one_whose_worker_died_is_still_the_only_one() -> None:
    keep_slow(2)
    claimed = claim_slow(task_id="t")
    assert claimed is not None
    expire_leases()
    assert claim_slow(task_id="u") is None
    suspect = claim_suspect(task_id="u", is_redelivered=False)
    assert suspect is not None
    assert (suspect.id, Delivery.objects.get(id=suspect.id).crashes) == (claimed.id, 1)


def test_others_that_are_due_go_first_but_for_a_minute_at_most() -> None:
    [slow] = keep_slow()
    others = keep(2)
    assert claim_slow(task_id="t") is None
    with connection.cursor() as cursor:
        late = "UPDATE webhooks_delivery SET not_before = now() - make_interval(secs => %s) WHERE id = %s"
        cursor.execute(late, [SLOW_MAY_WAIT_S + 1, slow])
    claimed = claim_slow(task_id="t")
    assert claimed is not None
    assert claimed.id == slow
    assert claimed_ids(claim_batch([], task_id="t")) == others


def test_slow_ones_take_no_place_from_others() -> None:
    keep_slow(3 * claims.MOST_CLAIMED, installation_id=1)
    others = keep(3, installation_id=1)
    assert claimed_ids(claim_batch([], task_id="t")) == others


@pytest.fixture
def queue() -> Iterator[redis.Redis]:
    broker = redis.Redis.from_url(settings.CELERY_BROKER_URL)
    broker.delete("live", "figures", "maintenance")
    yield broker
    broker.delete("live", "figures", "maintenance")
    broker.close()


def test_the_dispatcher_has_the_next_slow_one_processed_unless_one_is(queue: redis.Redis) -> None:
    keep_slow(2, notified_at=LONG_AGO)
    assert wakeups.dispatch_deliveries().messages == 1
    assert [message["task"] for message in headers(queue, "maintenance")] == [wakeups.SLOW_TASK]
    assert headers(queue, "live") == []
    assert claim_slow(task_id="t") is not None
    Delivery.objects.update(notified_at=LONG_AGO)
    assert wakeups.dispatch_deliveries().messages == 0


@pytest.mark.proof
def test_claims_read_an_index_that_has_nothing_but_what_is_due() -> None:
    keep(3000, state="processed", finished_at=Now())
    keep(20)
    keep_slow(20)
    parameters = {"ids": [], "most": 100, "share": 40, "bytes": 10**6, "task_id": "t", "lease": 60, "patience": 60}
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE webhooks_delivery")
        for statement in (claims._CLAIM_BATCH, claims._CLAIM_SLOW):
            cursor.execute(f"EXPLAIN {statement}", parameters)
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "delivery_due" in plan
            assert "Seq Scan on webhooks_delivery" not in plan


@pytest.fixture
def two_children(empty_queue: None) -> Iterator[subprocess.Popen[bytes]]:
    process = start_worker(queues="live,maintenance", concurrency=2)
    yield process
    stop_worker(process)


@pytest.mark.proof
@pytest.mark.timeout(300)
@pytest.mark.django_db(transaction=True)
def test_while_a_slow_one_is_processed_its_neighbours_are_too(
    github: GitHub, two_children: subprocess.Popen[bytes]
) -> None:
    slow = keep_slow(2, event="slow", notified_at=LONG_AGO)
    DeliveryBody.objects.update(content=b"{}")
    running = Delivery.objects.filter(id__in=slow, state="running")
    wakeups.dispatch_deliveries()
    eventually(running.exists, within_s=120)
    for _ in range(50):
        github.post(b"{}", event="good")
    wakeups.enqueue_deliveries([*slow, *Delivery.objects.filter(event="good").values_list("id", flat=True)])
    eventually(lambda: not Delivery.objects.filter(event="good").unfinished().exists(), within_s=120)
    assert running.get().claim_number == 1
    assert Delivery.objects.get(id__in=slow, state="failed").claim_number == 0

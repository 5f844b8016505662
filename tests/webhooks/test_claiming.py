"""Who gets which deliveries, in which order, and what becomes of claims that end without a result."""

import os
import uuid
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count as count_up
from multiprocessing import get_context

import pytest
from django.db import connection

from apps.webhooks import registry
from apps.webhooks.claims import FAIR_SHARE, MOST_CLAIMED, MOST_CRASHES, claim_batch, claim_suspect, is_full
from apps.webhooks.models import Delivery, DeliveryBody, days_of_body
from apps.webhooks.parsing import ClaimLostError
from apps.webhooks.registry import Event
from apps.webhooks.translate import translate_delivery
from apps.webhooks.worker import finish, process
from tests.plans import explaining
from tests.webhooks.conftest import HOOK_ID, MadeUpEvent, drain, expire_leases, make_due

pytestmark = pytest.mark.django_db


MOMENTS = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second) for second in count_up())


def keep(count: int = 1, **columns: object) -> list[int]:
    """Put deliveries into the inbox without a request."""
    content = b'{"action":"happened"}'
    values = {"hook_id": HOOK_ID, "event": "made_up", "size": len(content), "body_sha256": bytes(32), **columns}
    rows = Delivery.objects.bulk_create(
        Delivery(guid=uuid.uuid4(), **{"not_before": next(MOMENTS), **values}) for _ in range(count)
    )
    DeliveryBody.objects.bulk_create(
        DeliveryBody(
            day=days_of_body(row.received_at)[0],
            delivery=row,
            content=content,
            headers={"content-type": "application/json"},
        )
        for row in Delivery.objects.filter(pk__in=[row.pk for row in rows])
    )
    return [row.pk for row in rows]


def claimed_ids(batch: Iterable[object]) -> list[int]:
    return [claimed.id for claimed in batch]


def test_a_claim_sets_lease_holder_and_number(made_up_event: MadeUpEvent) -> None:
    (row_id,) = keep()
    (claimed,) = claim_batch([row_id], task_id="a task")
    kept = Delivery.objects.get()
    assert (kept.state, kept.leased_by, kept.claim_number) == ("running", "a task", 1)
    assert kept.lease_until is not None
    assert (claimed.claim_number, claimed.content) == (1, b'{"action":"happened"}')
    assert claim_batch([row_id], task_id="another task") == []


def test_a_claim_takes_the_named_first_and_fills_up() -> None:
    older = keep(MOST_CLAIMED + 30)
    named = keep(3)
    batch = claim_batch(named, task_id="t")
    assert claimed_ids(batch) == older[: MOST_CLAIMED - 3] + named
    assert is_full(batch)


def test_live_comes_before_api_before_replay() -> None:
    replayed, swept, live = keep(MOST_CLAIMED, source=2), keep(20, source=1), keep(20, source=0)
    assert claimed_ids(claim_batch([], task_id="t")) == sorted(replayed[: MOST_CLAIMED - 40] + swept + live)


def test_no_installation_takes_more_than_its_share_while_others_wait() -> None:
    keep(2 * MOST_CLAIMED, installation_id=1)
    quiet, nameless = keep(15, installation_id=2), keep(3)
    swept = keep(FAIR_SHARE + 5, installation_id=3, source=1)
    shares = Counter(
        Delivery.objects.filter(id__in=claimed_ids(claim_batch([], task_id="t"))).values_list(
            "installation_id", flat=True
        )
    )
    assert shares[1] == FAIR_SHARE
    assert (shares[2], shares[None]) == (len(quiet), len(nameless))
    assert shares[3] == min(FAIR_SHARE, MOST_CLAIMED - FAIR_SHARE - len(quiet) - len(nameless))
    assert len(swept) > shares[3]


def test_one_installation_alone_takes_the_whole_batch() -> None:
    keep(MOST_CLAIMED + 10, installation_id=1)
    keep(60, installation_id=2, not_before="2999-01-01T00:00:00Z")
    assert len(claim_batch([], task_id="t")) == MOST_CLAIMED


def test_named_deliveries_of_one_installation_keep_to_its_share_too() -> None:
    keep(2 * FAIR_SHARE, installation_id=2)
    named = keep(MOST_CLAIMED, installation_id=1)
    batch = claim_batch(named, task_id="t")
    assert len(set(claimed_ids(batch)) & set(named)) == FAIR_SHARE
    assert len(batch) == 2 * FAIR_SHARE
    assert is_full(batch)


def test_who_is_alone_in_wanting_more_gets_what_the_others_leave() -> None:
    keep(2 * MOST_CLAIMED, installation_id=1)
    keep(3, installation_id=2)
    batch = claimed_ids(claim_batch([], task_id="t"))
    assert Delivery.objects.filter(id__in=batch, installation_id=2).count() == 3
    assert len(batch) == MOST_CLAIMED


def test_an_installation_far_behind_a_flood_is_seen() -> None:
    keep(5 * MOST_CLAIMED, installation_id=5)
    (late,) = keep(installation_id=9)
    (early,) = keep(installation_id=2)
    assert {late, early} <= set(claimed_ids(claim_batch([], task_id="t")))


def test_a_batch_is_bounded_in_bytes_but_never_empty() -> None:
    keep(5, size=20 * 1024 * 1024)
    batch = claim_batch([], task_id="t")
    assert len(batch) == 1
    assert is_full(batch)


def test_a_delivery_that_waits_for_its_next_attempt_is_not_claimed() -> None:
    (row_id,) = keep(not_before="2999-01-01T00:00:00Z", state="failed")
    assert claim_batch([row_id], task_id="t") == []


def test_a_delivery_of_unknown_id_is_no_error() -> None:
    assert claim_batch([10**12], task_id="t") == []


def test_an_expired_lease_is_claimed_alone_and_is_no_crash_yet() -> None:
    keep(3)
    claim_batch([], task_id="t")
    expire_leases()
    suspect = claim_suspect(task_id="u", is_redelivered=False)
    assert suspect is not None
    assert (suspect.is_claimed_alone, suspect.claim_number) == (True, 2)
    assert Delivery.objects.get(id=suspect.id).crashes == 0
    assert claim_batch([], task_id="u") == []


def test_a_live_lease_is_nobody_elses() -> None:
    keep()
    claim_batch([], task_id="t")
    assert claim_suspect(task_id="u", is_redelivered=True) is None
    assert claim_suspect(task_id="t", is_redelivered=False) is None


def test_a_redelivered_wake_up_takes_over_what_its_task_held() -> None:
    keep()
    claim_batch([], task_id="t")
    assert claim_suspect(task_id="t", is_redelivered=True) is not None


def test_only_claims_made_alone_count_as_crashes_and_the_third_is_death() -> None:
    keep()
    claim_batch([], task_id="t")
    for crashes in range(MOST_CRASHES):
        suspect = claim_suspect(task_id="t", is_redelivered=True)
        assert suspect is not None
        assert (suspect.state, Delivery.objects.get().crashes) == ("running", crashes)
    dead = claim_suspect(task_id="t", is_redelivered=True)
    assert dead is not None
    assert dead.state == "dead"
    kept = Delivery.objects.get()
    assert (kept.state, kept.reason, kept.crashes, kept.lease_until) == ("dead", "crashed", MOST_CRASHES, None)


def test_those_never_claimed_alone_come_before_a_repeated_suspect() -> None:
    killer, *neighbours = keep(3)
    claim_batch([], task_id="t")
    order = [claim_suspect(task_id="t", is_redelivered=True) for _ in range(4)]
    assert [suspect.id for suspect in order if suspect] == [killer, *neighbours, killer]


def test_a_worker_that_lost_its_claim_writes_nothing(made_up_event: MadeUpEvent) -> None:
    keep(3)
    batch = claim_batch([], task_id="t")
    expire_leases()
    stolen = claim_suspect(task_id="u", is_redelivered=False)
    assert stolen is not None
    with pytest.raises(ClaimLostError) as lost:
        finish([translate_delivery(claimed) for claimed in batch])
    assert lost.value.ids == {stolen.id}


def test_the_others_of_a_batch_take_effect_when_one_claim_is_lost(made_up_event: MadeUpEvent) -> None:
    keep(3)
    batch = claim_batch([], task_id="t")
    expire_leases()
    stolen = claim_suspect(task_id="u", is_redelivered=False)
    assert stolen is not None
    process(batch)
    assert Counter(Delivery.objects.values_list("state", flat=True)) == {"processed": 2, "running": 1}
    process([stolen])
    assert set(Delivery.objects.values_list("state", flat=True)) == {"processed"}


def kills_its_worker(event: Event) -> tuple[()]:
    if event.payload.get("is_killer"):
        os._exit(9)
    return ()


def work_and_maybe_die(*, is_redelivered: bool) -> int | None:
    """Run a worker's child process with one task; its exit code."""

    def child() -> None:
        connection.connection = None  # the parent's; a child opens its own
        drain(task_id="one task", is_redelivered=is_redelivered)
        os._exit(0)

    process_ = get_context("fork").Process(target=child)
    process_.start()
    process_.join(60)
    return process_.exitcode


@pytest.mark.django_db(transaction=True)
def test_a_killer_never_takes_its_49_neighbours_along() -> None:
    keep(25)
    (killer,) = keep()
    DeliveryBody.objects.filter(delivery_id=killer).update(content=b'{"action":"kills","is_killer":true}')
    keep(24)
    with registry.scoped_registration():
        registry.translates("made_up", "happened", "kills")(kills_its_worker)
        exits = [work_and_maybe_die(is_redelivered=False)]
        while exits[-1] != 0:
            exits.append(work_and_maybe_die(is_redelivered=True))
            assert len(exits) < 10
    assert Counter(Delivery.objects.values_list("state", flat=True)) == {"processed": 49, "dead": 1}
    dead = Delivery.objects.get(id=killer)
    assert (dead.reason, dead.crashes) == ("crashed", MOST_CRASHES)
    assert exits == [9] * (MOST_CRASHES + 1) + [0]


@pytest.mark.proof
def test_finishing_never_reads_all_that_a_hook_has_posted() -> None:
    keep(3000)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE webhooks_delivery SET body_sha256 = sha256(id::text::bytea)")
    results = [translate_delivery(claimed) for claimed in claim_batch([], task_id="t")]
    plans: list[str] = []
    with connection.execute_wrapper(explaining(plans)):
        finish(results)
    assert "delivery_body_sha256" in plans[0]
    assert "a_delivery_has_one_row_per_hook_and_guid" not in plans[0]


def test_a_full_batch_is_followed_by_the_next(made_up_event: MadeUpEvent) -> None:
    keep(130)
    assert drain() == 130
    make_due()
    assert set(Delivery.objects.values_list("state", flat=True)) == {"processed"}

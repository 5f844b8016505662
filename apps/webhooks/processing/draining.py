"""What a worker does when the bell rings: claim, process, again, until nothing is due or its time is over."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import Error, connection

from apps.crash_points import crash_point
from apps.webhooks.bell import ring
from apps.webhooks.counters import VERDICTS
from apps.webhooks.models import Delivery
from apps.webhooks.processing import claiming, leftovers
from apps.webhooks.processing.batches import process

logger = logging.getLogger(__name__)
BUDGET_S = 8.0  # then somebody else's turn, and the figures'
BUDGET_OF_THE_SLOW_S = 2.0  # each may need nearly all of the time that a task has


def drain(ids: Sequence[int], *, task_id: str, is_redelivered: bool) -> int:
    """Process the named deliveries and whatever else is due; how many were claimed. Rings again if more is due."""
    leftovers.release_leftovers()
    started_s = time.monotonic()
    claimed_count = 0
    named = ids
    while True:
        with _heard(task_id):
            batch = claiming.claim_batch(named, task_id=task_id)
        if batch:
            crash_point("claim.after_commit")
        named = ()
        process(batch)
        claimed_count += len(batch)
        if time.monotonic() - started_s > BUDGET_S:
            ring.ring_for_more()  # a suspect may need more than what is left of this task's time
            return claimed_count
        with _heard(task_id):
            suspect = claiming.claim_suspect(task_id=task_id, is_redelivered=is_redelivered)
        if suspect is not None:
            crash_point("suspect.after_commit")
            _examine(suspect)
            claimed_count += 1
        elif not claiming.is_full(batch):
            return claimed_count


def drain_slow(*, task_id: str) -> int:
    """Process slow deliveries that are due, one at a time; how many. Asks for another task if more may be due."""
    leftovers.release_leftovers()
    started_s = time.monotonic()
    claimed_count = 0
    while time.monotonic() - started_s < BUDGET_OF_THE_SLOW_S:
        with _heard(task_id):
            slow = claiming.claim_slow(task_id=task_id)
        if slow is None:
            return claimed_count
        process([slow])
        claimed_count += 1
    ring.ring_for_slow()
    return claimed_count


@contextmanager
def _heard(task_id: str) -> Iterator[None]:
    """A claim whose answer is lost is taken back, and somebody else is asked to claim."""
    try:
        yield
    except Error:
        connection.close()
        if leftovers.release_unheard(task_id):
            ring.ring_for_more()
        raise


def _examine(suspect: claiming.Claimed) -> None:
    """Process a delivery whose last worker died, unless it has killed too many already."""
    if suspect.state == Delivery.State.RUNNING:
        process([suspect])
        return
    VERDICTS.labels(Delivery.State.DEAD.value, "crashed").inc()
    logger.error("delivery_crashes_its_workers", extra={"delivery": suspect.id, "github_event": suspect.event})

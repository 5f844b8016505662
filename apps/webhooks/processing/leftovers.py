"""Claims that could not be given back because the database was away; this process gives them back when it can."""

import logging
from collections.abc import Iterable

from django.db import Error

from apps import watchdog
from apps.webhooks.models import Delivery
from apps.webhooks.processing.claiming import Claimed
from apps.webhooks.processing.retry import ENVIRONMENT_WAIT

LONGEST_WAIT_S = 5.0
logger = logging.getLogger(__name__)
_held: dict[int, int] = {}  # delivery id to claim number; one process, one task at a time
_unheard: set[str] = set()  # tasks whose last claim was not answered


def release(batch: Iterable[Claimed]) -> None:
    """Give claims back without a verdict, now or, if the database stays away, before this process claims again.

    Otherwise a lease that ran out in an outage would count as a crash of the delivery.
    """
    _held.update({claimed.id: claimed.claim_number for claimed in batch})
    try:
        release_leftovers()
    except Error:
        logger.warning("claims_not_released", extra={"deliveries": sorted(_held)})


def release_unheard(task_id: str) -> int:
    """Give back what a claim took whose answer was lost, now or as above; how many deliveries there were by now.

    The claim may have been committed all the same. Otherwise its deliveries would wait for their leases to run out.
    """
    _unheard.add(task_id)
    try:
        return release_leftovers()
    except Error:
        return 0


def release_leftovers() -> int:
    """Give back whatever is still held from before; an Error of the database if it is still away.

    How many deliveries are due at once because of that.
    """
    due = 0
    with watchdog.limit(seconds=LONGEST_WAIT_S):
        for task_id in list(_unheard):
            due += Delivery.objects.release_all_of(task_id)
            _unheard.remove(task_id)
        for delivery_id, claim_number in list(_held.items()):
            Delivery.objects.filter(id=delivery_id).release(claim_number=claim_number, after=ENVIRONMENT_WAIT)
            del _held[delivery_id]
    return due

"""What one task sweeps. Nothing waits in here: each wait is kept in the row, and beat's tick ends it."""

import logging
import random
import time
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from celery import current_app
from celery.exceptions import SoftTimeLimitExceeded
from django.db import Error, connection
from django.db.models import Min
from django.db.models.functions import Now
from django.utils import timezone

from apps.common import db
from apps.common.encryption import UndecryptableError
from apps.common.failpoints import failpoint
from apps.github.auth import GitHubAccess
from apps.github.credentials import NoCredentialsError, app_credentials, has_credentials
from apps.integrations.delivery_log.claim import ClaimLostError, Turn
from apps.integrations.delivery_log.health import why_not_now
from apps.integrations.delivery_log.recover import bring_back, inbox_has_room
from apps.integrations.delivery_log.scan import cover_what_is_here, read_log
from apps.integrations.delivery_log.waits import Wait, wait_after, wait_after_failure
from apps.integrations.models import DeliverySweep, MissedDelivery
from apps.integrations.outcomes import REFUSED_S
from apps.integrations.reader import RequestFailedError, storable
from apps.webhooks import wakeups
from apps.webhooks.parsing import UnusablePayloadError

TURN_S = 15.0
"""A task begins no request after so long: one takes 30 s at the most, and a task 45 s."""
UNHEALTHY_S, FULL_DOOR_S = 60.0, 30.0
GIVE_BACK_S = 3.0
AWAY_S = 5.0
MOST_ATTEMPTS = 100  # what is counted; the waits stop growing long before
FAILURES = (
    RequestFailedError,
    UnusablePayloadError,
    NoCredentialsError,
    UndecryptableError,
    SoftTimeLimitExceeded,
    db.DatabaseTimeoutError,
)
logger = logging.getLogger(__name__)


def sweep(*, access: GitHubAccess, seconds: float = TURN_S) -> DeliverySweep | None:
    """Sweep as far as one task may; the row afterwards, None where somebody else holds it or it waits.

    A row that `is_due` wants another task. NoCredentialsError without credentials, DatabaseError without a database.
    """
    app_id = access.client.credentials().app_id
    row = _claim(app_id)
    if row is None:
        return None
    try:
        failpoint("sweep.after_claim")
        _take(Turn(row=row, access=access, deadline_s=time.monotonic() + seconds))
    except ClaimLostError:
        logger.warning("sweep_lost", extra={"app": app_id})
    except Error:
        connection.close()
        with suppress(Error, ClaimLostError), db.limit(seconds=GIVE_BACK_S):
            _rest(Turn(row=row, access=access, deadline_s=0.0), Wait(AWAY_S, "database"))
        raise
    return DeliverySweep.objects.get(pk=app_id)


def _claim(app_id: int) -> DeliverySweep | None:
    """The row under a claim number of its own."""
    DeliverySweep.objects.bulk_create([DeliverySweep(app_id=app_id)], ignore_conflicts=True)
    own = DeliverySweep.objects.filter(pk=app_id)
    found = own.get()
    if not own.filter(claim_number=found.claim_number).claim():
        return None
    return own.get(claim_number=found.claim_number + 1)


def _take(turn: Turn) -> None:
    """Do what is due, and leave the row as the next task needs it."""
    reason = why_not_now()
    if reason:
        _rest(turn, Wait(UNHEALTHY_S, reason, is_failure=False))
        return
    try:
        MissedDelivery.objects.settle()
        if turn.row.cursor or turn.row.walk_due_at <= timezone.now():
            read_log(turn)
        bring_back(turn)
    except FAILURES as error:
        _follow(turn, error)
        return
    MissedDelivery.objects.settle()
    cover_what_is_here(turn)
    turn.hold(not_before=_due_next(turn.row), reason="", error="", attempts=0, lease_until=None)


def _follow(turn: Turn, error: Exception) -> None:
    """Wait as what went wrong demands."""
    row, chance = turn.row, random.random()  # noqa: S311  spreads waits, guards nothing
    if isinstance(error, RequestFailedError):
        wait = wait_after(error.answer, attempts=row.attempts, now=turn.access.client.clock(), chance=chance)
        words = error.answer.verdict.message
    elif isinstance(error, NoCredentialsError | UndecryptableError):
        wait, words = Wait(REFUSED_S, "no_credentials"), str(error)
    elif isinstance(error, UnusablePayloadError):
        wait, words = wait_after_failure(error.reason, attempts=row.attempts, chance=chance), str(error)
    else:
        connection.close()
        wait, words = wait_after_failure("timed_out", attempts=row.attempts, chance=chance), "A task took too long."
    logger.warning("sweep_waits", extra={"app": row.pk, "reason": wait.reason, "words": words})
    _rest(turn, wait, words=words)


def _rest(turn: Turn, wait: Wait, *, words: str = "") -> None:
    changes: dict[str, Any] = {}
    if wait.is_failure:
        changes["attempts"] = min(turn.row.attempts + 1, MOST_ATTEMPTS)
    not_before = timezone.now() + timedelta(seconds=wait.seconds)
    turn.hold(**changes, not_before=not_before, reason=wait.reason, error=storable(words), lease_until=None)


def _due_next(row: DeliverySweep) -> datetime:
    """When there is something to be done again: a page to be read, a delivery to be brought back."""
    now = timezone.now()
    if row.cursor:
        return now
    missed = MissedDelivery.objects.open().aggregate(at=Min("not_before"))["at"]
    if missed is not None and missed <= now and not inbox_has_room():
        missed = now + timedelta(seconds=FULL_DOOR_S)
    return row.walk_due_at if missed is None else min(row.walk_due_at, missed)


TASK = "apps.integrations.tasks.sweep_deliveries"
EXPIRES_S = 60
"""After a minute the next message is there."""
AWAY = timedelta(minutes=3)
"""Beat's tick comes every minute. Where none came for so long, something was down, the door perhaps with it."""
APART = timedelta(minutes=1)


def enqueue_due(*, at_start: bool = False) -> int:
    """Tell a worker where a sweep is due; how many messages the broker took.

    It is due every 15 minutes, where nobody looked for some minutes, and where beat has just started.
    """
    if not has_credentials():
        return 0
    app_id = app_credentials().app_id
    DeliverySweep.objects.bulk_create([DeliverySweep(app_id=app_id)], ignore_conflicts=True)
    own = DeliverySweep.objects.filter(pk=app_id)
    if at_start or own.filter(ticked_at__lt=Now() - AWAY).exists():
        own.hasten(apart=APART)
    own.update(ticked_at=Now())
    return enqueue_scan() if own.due().exists() else 0


def enqueue_scan() -> int:
    """Tell a worker to sweep; how many messages the broker took."""
    return wakeups.send([partial(current_app.send_task, TASK, expires=EXPIRES_S, retry=False, ignore_result=True)])


def scan_or_go_on(*, access: GitHubAccess) -> None:
    """Sweep, and ring for another task where one was not enough."""
    row = sweep(access=access)
    if row is not None and row.is_due:
        enqueue_scan()

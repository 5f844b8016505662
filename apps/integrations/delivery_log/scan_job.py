"""Scanning GitHub's log of deliveries. Nothing waits in a worker: each wait is kept in the job."""

import logging
import random
import time
from datetime import datetime, timedelta
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection
from django.db.models import Min
from django.db.models.functions import Now
from django.utils import timezone

from apps.common import db
from apps.common.encryption import UndecryptableError
from apps.common.failpoints import failpoint
from apps.github import auth
from apps.github.auth import GitHubAccess
from apps.github.credentials import NoCredentialsError, app_credentials, has_credentials
from apps.github.rate_limit import Priority
from apps.integrations.delivery_log.recover import bring_back, inbox_has_room
from apps.integrations.delivery_log.scan import cover_what_is_here, read_log
from apps.integrations.delivery_log.scan_health import WORDS, as_sentence, why_not_now
from apps.integrations.delivery_log.scan_run import ScanRun
from apps.integrations.delivery_log.waits import Wait, wait_after, wait_after_failure
from apps.integrations.models import DeliveryLogScan, MissedDelivery
from apps.integrations.models.delivery_log import DeliveryLogScanQuerySet
from apps.integrations.outcomes import REFUSED_S
from apps.integrations.reader import RequestFailedError, storable
from apps.jobs.claims import claim
from apps.jobs.models import Job
from apps.jobs.registry import SLICE_S, JobKind
from apps.jobs.runner import attempt
from apps.webhooks.parsing import UnusablePayloadError

AWAY = timedelta(minutes=3)
"""Beat's tick comes every 5 s. Where none came for so long, something was down, the receiver perhaps with it."""
APART = timedelta(minutes=1)
UNHEALTHY_S, FULL_INBOX_S = 60.0, 30.0
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


def run(job: Job, deadline_s: float) -> None:
    """Read GitHub's log of deliveries, and bring what was missed into the inbox, as far as one task may."""
    scan_log(job, access=auth.github(), deadline_s=deadline_s)


def plan(at_start: bool = False) -> int:
    """Have the log read where it is due; return whether that is now.

    It is due every 15 minutes, where nobody looked for some minutes, and where beat has just started.
    """
    if not has_credentials():
        return 0
    own = open_scan(app_credentials().app_id)
    if at_start or own.filter(planned_at__lt=Now() - AWAY).exists():
        own.hasten(apart=APART)
    own.update(planned_at=Now())
    return int(own.exclude(pk__in=own.resting().values("pk")).exists())


KIND = JobKind(
    name=DeliveryLogScan.KIND,
    priority=Priority.RECONCILIATION,
    run=run,
    plan=plan,
    recurs=True,
    words={reason: (as_sentence(words), "") for reason, words in WORDS.items()},
)


def open_scan(app_id: int) -> DeliveryLogScanQuerySet:
    """Return the scan of the App's log, which begins to wait if there was none."""
    new = {"kind": KIND.name, "priority": KIND.priority, "app_id": app_id}
    DeliveryLogScan.objects.get_or_create(key=str(app_id), defaults=new)
    return DeliveryLogScan.objects.filter(app_id=app_id)


def scan_now(*, access: GitHubAccess, seconds: float = SLICE_S) -> DeliveryLogScan | None:
    """Scan as far as one task may; return the row afterwards, None where another worker has it or it waits.

    A row that `goes_on` wants another call. NoCredentialsError without credentials, DatabaseError without a database.
    """
    own = open_scan(access.client.credentials().app_id)
    job = claim(own.get().pk, task_id="")
    if job is None:
        return None
    attempt(job, lambda: scan_log(job, access=access, deadline_s=time.monotonic() + seconds))
    return own.get()


def scan_log(job: Job, *, access: GitHubAccess, deadline_s: float) -> None:
    """Scan for a job that was claimed, and release it."""
    row = DeliveryLogScan.objects.get(pk=job.pk, claim_number=job.claim_number)
    failpoint("scan.after_claim")
    _take(ScanRun(row=row, access=access, deadline_s=deadline_s))


def _take(scan: ScanRun) -> None:
    """Do what is due, and leave the row as the next task needs it."""
    reason = why_not_now()
    if reason:
        _rest(scan, Wait(UNHEALTHY_S, reason, is_failure=False))
        return
    try:
        MissedDelivery.objects.settle()
        if scan.row.cursor or scan.row.read_due_at <= timezone.now():
            read_log(scan)
        bring_back(scan)
    except FAILURES as error:
        _follow(scan, error)
        return
    MissedDelivery.objects.settle()
    cover_what_is_here(scan)
    _release(scan, not_before=_due_next(scan.row), reason="", error="", attempts=0)


def _follow(scan: ScanRun, error: Exception) -> None:
    """Wait as what went wrong demands."""
    row, chance = scan.row, random.random()  # noqa: S311  spreads waits, guards nothing
    if isinstance(error, RequestFailedError):
        wait = wait_after(error.answer, attempts=row.attempts, now=scan.access.client.clock(), chance=chance)
        words = error.answer.message
    elif isinstance(error, NoCredentialsError | UndecryptableError):
        wait, words = Wait(REFUSED_S, "no_credentials"), str(error)
    elif isinstance(error, UnusablePayloadError):
        wait, words = wait_after_failure(error.reason, attempts=row.attempts, chance=chance), str(error)
    else:
        connection.close()
        wait, words = wait_after_failure("timed_out", attempts=row.attempts, chance=chance), "A task took too long."
    logger.warning("delivery_log_waits", extra={"app": row.pk, "reason": wait.reason, "words": words})
    _rest(scan, wait, words=words)


def _rest(scan: ScanRun, wait: Wait, *, words: str = "") -> None:
    changes: dict[str, Any] = {}
    if wait.is_failure:
        changes["attempts"] = min(scan.row.attempts + 1, MOST_ATTEMPTS)
    not_before = timezone.now() + timedelta(seconds=wait.seconds)
    _release(scan, **changes, not_before=not_before, reason=wait.reason, error=storable(words))


def _release(scan: ScanRun, **changes: Any) -> None:
    scan.row.hold(state=Job.State.WAITING, lease_until=None, leased_by="", **changes)


def _due_next(row: DeliveryLogScan) -> datetime:
    """When there is something to be done again: a page to be read, a delivery to be brought back."""
    now = timezone.now()
    if row.cursor:
        return now
    missed = MissedDelivery.objects.open().aggregate(at=Min("not_before"))["at"]
    if missed is not None and missed <= now and not inbox_has_room():
        missed = now + timedelta(seconds=FULL_INBOX_S)
    return row.read_due_at if missed is None else min(row.read_due_at, missed)

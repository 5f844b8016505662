"""The job that scans GitHub's delivery log. No worker waits: each wait is stored in the job, with its reason."""

import logging
import random
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Min, Q
from django.db.models.functions import Now
from django.utils import timezone

from apps.activity.coverage import cover
from apps.activity.models import Coverage
from apps.common import db
from apps.common.encryption import UndecryptableError
from apps.common.failpoints import failpoint
from apps.github import auth
from apps.github.auth import GitHubAccess
from apps.github.credentials import NoCredentialsError, app_credentials, has_credentials
from apps.github.rate_limit import Priority
from apps.github.responses import SECONDARY_S, Answer, ResponseKind
from apps.integrations.delivery_log.scan import MARGIN, ScanRun, inbox_has_room, read_log, recover_due
from apps.integrations.models import DeliveryLogScan, MissedDelivery
from apps.integrations.models.github_delivery_log import DeliveryLogScanQuerySet, MissedDeliveryQuerySet
from apps.integrations.outcomes import BLOCKED, REFUSED_S, SHORTEST_WAIT_S, SPENT
from apps.integrations.reader import RequestFailedError, storable
from apps.jobs.claims import claim
from apps.jobs.models import Job
from apps.jobs.outcomes import Backoff
from apps.jobs.registry import SLICE_S, JobKind
from apps.jobs.runner import attempt
from apps.webhooks import inbox_overview
from apps.webhooks.parsing import UnusablePayloadError
from apps.webhooks.signature import active_secrets

AWAY = timedelta(minutes=3)
"""Beat plans jobs every 5 s. Where it did not for so long, something was down, perhaps the receiver too."""
APART = timedelta(minutes=1)
UNHEALTHY_S, FULL_INBOX_S = 60.0, 30.0
LONGEST_LAG_S = 60.0
MOST_ATTEMPTS = 100  # the waits stop growing long before
BACKOFF = Backoff(first_s=5.0, longest_s=900.0)
INBOX_LAGS, NO_SECRET = "inbox_lags", "no_webhook_secret"
LIMITS = {ResponseKind.DEFERRED, ResponseKind.PRIMARY, ResponseKind.SECONDARY}
REASONS = {
    ResponseKind.AUTH: "app_refused",
    ResponseKind.FORBIDDEN: "forbidden",
    ResponseKind.GONE: "gone",
    ResponseKind.REJECTED: "rejected",
}
WORDS = {
    INBOX_LAGS: "the inbox is behind: more would not help it",
    NO_SECRET: "there is no webhook secret that a redelivery could be signed with",
    "blocked": "GitHub: slow down",
    "spent": "the hour's limit is spent",
    "busy": "others ask GitHub right now",
    "app_refused": "GitHub refuses the App: is its key right, and the clock?",
    "forbidden": "GitHub forbids it",
    "gone": "GitHub knows no such log: is the App's id right?",
    "rejected": "GitHub refuses the request",
    "unanswered": "GitHub does not answer",
    "hook_unknown": "GitHub does not say to which hook it delivered",
    "shape_mismatch": "GitHub's answer has another shape than expected",
    "no_credentials": "the App's key cannot be read",
    "database": "the database was away",
    "timed_out": "it took longer than a task may",
}
FAILURES = (
    RequestFailedError,
    UnusablePayloadError,
    NoCredentialsError,
    UndecryptableError,
    SoftTimeLimitExceeded,
    db.DatabaseTimeoutError,
)
State, RecoverySource = MissedDelivery.State, MissedDelivery.RecoverySource
logger = logging.getLogger(__name__)


def as_sentence(words: str) -> str:
    """Return the words with a capital and a full stop."""
    return f"{words[0].upper()}{words[1:]}{'' if words.endswith('?') else '.'}"


def run(job: Job, deadline_s: float) -> None:
    """Read GitHub's delivery log, and recover missed deliveries, as far as one task may."""
    scan_log(job, access=auth.github(), deadline_s=deadline_s)


def plan(at_start: bool = False) -> int:
    """Have the log read if it is due; return whether that is now.

    It is due every 15 minutes, if nothing was planned for some minutes, and if beat has just started.
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
    """Scan as far as one task may; return the row afterwards, None if another worker has it or it waits.

    A row that `goes_on` needs another call. NoCredentialsError without credentials, DatabaseError without a database.
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
    _run(ScanRun(row=row, access=access, deadline_s=deadline_s))


def _run(scan: ScanRun) -> None:
    """Do what is due, and leave the row as the next task needs it."""
    reason = why_not_now()
    if reason:
        _wait(scan, Wait(UNHEALTHY_S, reason, is_failure=False))
        return
    try:
        MissedDelivery.objects.settle()
        if scan.row.cursor or scan.row.read_due_at <= timezone.now():
            read_log(scan)
        recover_due(scan)
    except FAILURES as error:
        _wait_after_error(scan, error)
        return
    MissedDelivery.objects.settle()
    mark_covered(scan)
    _release(scan, not_before=_due_next(scan.row), reason="", error="", attempts=0)


def why_not_now() -> str:
    """Return why the scan has to wait, as one word; empty if nothing speaks against it."""
    if inbox_overview.look().lag_s > LONGEST_LAG_S:
        return INBOX_LAGS
    if settings.SCAN_REDELIVERS and not active_secrets():
        return NO_SECRET  # the receiver would refuse the redeliveries
    return ""


def mark_covered(scan: ScanRun) -> None:
    """Cover as much as possible up to the mark; the rest is covered once the missing deliveries are here."""
    row = scan.row
    if row.covered_until is None or row.mark is None:
        return
    with transaction.atomic():
        scan.row.hold()
        scan.row.hold(covered_until=_cover(row.covered_until, row.mark))


def _cover(from_at: datetime, to_at: datetime) -> datetime:
    """Cover between the two what may be covered; return up to where."""
    for missed in _missing_between(from_at, to_at):
        until = min(missed.delivered_at - MARGIN, to_at)
        _cover_stretch(from_at, until)
        from_at = max(from_at, until)
        if missed.state != State.GIVEN_UP:
            return from_at
        from_at = max(from_at, missed.delivered_at)
    _cover_stretch(from_at, to_at)
    return max(from_at, to_at)


def _cover_stretch(from_at: datetime, to_at: datetime) -> None:
    if from_at < to_at:
        cover(Coverage.DELIVERIES, repository_id=None, from_at=from_at, to_at=to_at)


def _missing_between(from_at: datetime, to_at: datetime) -> MissedDeliveryQuerySet:
    """Return the deliveries with an effect that are not here, in the order of their delivery."""
    around = MissedDelivery.objects.filter(delivered_at__gt=from_at, delivered_at__lt=to_at + MARGIN, has_effect=True)
    return around.exclude(state=State.KEPT).order_by("delivered_at")


@dataclass(frozen=True, slots=True)
class Wait:
    """Due again after so many seconds; a failure is a wait that GitHub's limits do not explain."""

    seconds: float
    reason: str
    is_failure: bool = True


def wait_after(answer: Answer, *, attempts: int, now: float, chance: float) -> Wait:
    """Return the wait after an answer without the data that was asked for; `chance` in 0…1 spreads the waits."""
    limit_s = 0.0 if answer.not_before is None else max(SHORTEST_WAIT_S, answer.not_before - now)
    if answer.kind in LIMITS:
        reason = {ResponseKind.DEFERRED: answer.message, ResponseKind.PRIMARY: SPENT}.get(answer.kind, BLOCKED)
        return Wait(limit_s or SECONDARY_S, reason, is_failure=False)
    wait = wait_after_failure(REASONS.get(answer.kind, "unanswered"), attempts=attempts, chance=chance)
    at_least_s = REFUSED_S if answer.kind in REASONS else 0.0
    return Wait(max(wait.seconds, limit_s, at_least_s), wait.reason)


def wait_after_failure(reason: str, *, attempts: int, chance: float) -> Wait:
    """Return a wait that grows with the attempts."""
    return Wait(BACKOFF.wait_s(attempts, chance=chance), reason)


def _wait_after_error(scan: ScanRun, error: Exception) -> None:
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
    _wait(scan, wait, words=words)


def _wait(scan: ScanRun, wait: Wait, *, words: str = "") -> None:
    changes: dict[str, Any] = {}
    if wait.is_failure:
        changes["attempts"] = min(scan.row.attempts + 1, MOST_ATTEMPTS)
    not_before = timezone.now() + timedelta(seconds=wait.seconds)
    _release(scan, **changes, not_before=not_before, reason=wait.reason, error=storable(words))


def _release(scan: ScanRun, **changes: Any) -> None:
    scan.row.hold(state=Job.State.WAITING, lease_until=None, leased_by="", **changes)


def _due_next(row: DeliveryLogScan) -> datetime:
    """Return when there is work again: a page to read, a delivery to recover."""
    now = timezone.now()
    if row.cursor:
        return now
    missed = MissedDelivery.objects.open().aggregate(at=Min("not_before"))["at"]
    if missed is not None and missed <= now and not inbox_has_room():
        missed = now + timedelta(seconds=FULL_INBOX_S)
    return row.read_due_at if missed is None else min(row.read_due_at, missed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What became of missed deliveries, counted."""

    missing: int
    fetched: int
    redelivered: int
    arrived: int
    asked: int
    waiting: int
    given_up: int
    next_at: datetime | None
    """When the next one that waits is tried again."""


def found_since(moment: datetime) -> Found:
    """Count what was recorded as missing, recovered or given up since then, and all that is still awaited."""
    is_new = Q(noted_at__gte=moment)
    is_back = Q(state=State.KEPT, kept_at__gte=moment)
    counted = MissedDelivery.objects.filter(is_new | is_back | ~Q(state=State.KEPT)).aggregate(
        missing=Count("pk", filter=is_new),
        fetched=Count("pk", filter=is_back & Q(recovery_source=RecoverySource.FETCHED)),
        redelivered=Count("pk", filter=is_back & Q(recovery_source=RecoverySource.REDELIVERED)),
        arrived=Count("pk", filter=is_back & Q(recovery_source=RecoverySource.ARRIVED)),
        asked=Count("pk", filter=Q(state=State.ASKED)),
        waiting=Count("pk", filter=Q(state=State.WAITING)),
        given_up=Count("pk", filter=is_new & Q(state=State.GIVEN_UP)),
        next_at=Min("not_before", filter=Q(state__in=MissedDelivery.OPEN)),
    )
    return Found(**counted)


def why(row: DeliveryLogScan) -> str:
    """Return what the scan waits for, in words; empty if it is only not due yet."""
    words = WORDS.get(row.reason, row.reason)
    return f"{words} ({row.error})" if words and row.error else words or row.error

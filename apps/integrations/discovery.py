"""The search for the App's installations through the API, as not each sends a webhook when it is made or removed."""

import logging
import random
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection, transaction
from django.utils import timezone

from apps.activity.facts import Fact, ListingNeeded, evidence
from apps.activity.models import Installation
from apps.activity.record import record
from apps.common import db
from apps.common.encryption import UndecryptableError
from apps.github import auth
from apps.github.auth import GitHubAccess
from apps.github.credentials import NoCredentialsError, app_credentials, has_credentials
from apps.github.objects.accounts import standing_facts
from apps.github.payload import PayloadReader
from apps.github.rate_limit import Priority, Purpose
from apps.github.responses import ResponseKind
from apps.integrations.listed_installations import SETTLED, SOURCE
from apps.integrations.outcomes import REFUSED_S
from apps.integrations.reader import RequestFailedError, storable
from apps.jobs.models import Job
from apps.jobs.outcomes import Backoff
from apps.jobs.registry import JobKind
from apps.webhooks.parsing import UnusablePayloadError

FIRST_PAGE = "/app/installations?per_page=100"
PURPOSE = Purpose(priority=Priority.LIVE, subject="installations")
EVERY = timedelta(hours=1)
WHILE_NONE_IS_KNOWN = timedelta(seconds=5)
BACKOFF = Backoff(first_s=5.0, longest_s=3600.0)
MOST_ATTEMPTS = 100  # the waits stop growing long before
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
    """Find the installations, and put the job off."""
    find_for(job, access=auth.github())


def plan(at_start: bool = False) -> int:
    """Create the hourly job that finds installations; return how many were created."""
    if not has_credentials():
        return 0
    return Job.objects.open(KIND.name, priority=KIND.priority, installations={"all": None})


KIND = JobKind(
    name="find_installations",
    priority=Priority.LIVE,
    run=run,
    plan=plan,
    recurs=True,
    words={"not_found": ("GitHub did not list the App's installations; retrying with increasing waits.", "")},
)


def find_for(job: Job, *, access: GitHubAccess) -> None:
    """Find the installations for a claimed job, and put it off: for a moment while none is known, else for an hour."""
    try:
        find_installations(access=access)
    except FAILURES as error:
        _put_off_after(error, job=job)
        return
    after = EVERY if Installation.objects.exists() else WHILE_NONE_IS_KNOWN
    job.claim.put_off(after=after, reason="", error="", attempts=0)


def _put_off_after(error: Exception, *, job: Job) -> None:
    """Put the job off: each time for longer, and at least for as long as GitHub asked."""
    wait_s = BACKOFF.wait_s(job.attempts, chance=random.random())  # noqa: S311  spreads waits, guards nothing
    reason, message = "not_found", str(error)
    match error:
        case RequestFailedError():
            wait_s = max(wait_s, (error.answer.not_before or 0.0) - time.time())
            message = message or error.answer.kind.name.lower()
        case NoCredentialsError() | UndecryptableError():
            wait_s, reason = REFUSED_S, "no_credentials"
        case SoftTimeLimitExceeded() | db.DatabaseTimeoutError():
            connection.close()
            reason, message = "timed_out", "A task took too long."
    logger.warning("installations_not_found", extra={"reason": reason, "error": message})
    job.claim.put_off(
        after=timedelta(seconds=wait_s),
        reason=reason,
        error=storable(message),
        attempts=min(job.attempts + 1, MOST_ATTEMPTS),
    )


def find_installations(*, access: GitHubAccess) -> int:
    """Record every installation that GitHub knows of the App and return how many there are.

    Known installations that GitHub does not name are marked for listing, which finds out what became of them.
    RequestFailedError or UnusablePayloadError if GitHub does not list them, NoCredentialsError without credentials.
    """
    as_of = _database_time() - SETTLED
    found = list(_read(access))
    facts = [fact for installation in found for fact in standing_facts(installation, as_of=as_of)]
    ids = {installation.id() for installation in found}
    with transaction.atomic():
        record([evidence(SOURCE, [*facts, *_unnamed(ids)])])
    return len(found)


def _read(access: GitHubAccess) -> Iterator[PayloadReader]:
    path: str | None = FIRST_PAGE
    seen = set[int]()
    while path is not None:
        answer = access.get_as_app(path, purpose=PURPOSE)
        if answer.kind is not ResponseKind.OK:
            raise RequestFailedError(answer)
        if not isinstance(answer.data, list):
            raise UnusablePayloadError("shape_mismatch", "the installations are no list")
        now, before = timezone.now(), len(seen)
        for place, described in enumerate(answer.data):
            found = PayloadReader(
                described, path=f"installations[{place}]", arrived_at=now, observed_at=answer.observed_at
            )
            seen.add(found.id())
            yield found
        path = answer.next_path
        if path is not None and len(seen) == before:
            raise UnusablePayloadError(
                "endless_list", f"GitHub's list continues after {before} installations without another"
            )


def _database_time() -> datetime:
    """Return the time of the database, whose clock stamps signals."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def _unnamed(ids: set[int]) -> Iterator[Fact]:
    own = Installation.objects.filter(app_id=app_credentials().app_id, deleted_at=None).exclude(pk__in=ids)
    for installation_id in own.values_list("pk", flat=True):
        yield ListingNeeded(github_id=installation_id, needs_listing_at=timezone.now())

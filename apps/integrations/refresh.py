"""The job that asks GitHub for what webhooks leave out of pull requests: many of an installation's in one request.

Nothing waits in a worker: each wait is stored in the job. A claim that expires too early costs a point and changes
nothing, because facts merge.
"""

import logging
import random
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import Error, connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from apps.activity.facts import Source, evidence
from apps.activity.record import record
from apps.common import db
from apps.common.encryption import UndecryptableError
from apps.github import auth
from apps.github.auth import GitHubAccess
from apps.github.credentials import NoCredentialsError, has_credentials
from apps.github.rate_limit import Priority, Purpose
from apps.github.responses import REFUSALS, ResponseKind
from apps.integrations.models import RefreshFailure
from apps.integrations.outcomes import REFUSED_S, GoOn, Outcome, Progress, TryAgain, Wait, decide
from apps.integrations.reader import Reader, RequestFailedError, storable
from apps.integrations.refresh_queries import (
    MOST,
    REFRESH,
    Read,
    Wanted,
    due_installations,
    find_wanted,
    read_by_number,
    still_unlisted,
    unlisted,
)
from apps.integrations.streams.pull_request_parts import Found, PendingPart, PullRequestCursor, by_rest
from apps.integrations.streams.pull_requests import fetch_part
from apps.jobs.models import Job, ensure_held
from apps.jobs.registry import JobKind
from apps.jobs.wakeups import wake_next_waiter
from apps.webhooks.retry import is_data_error
from apps.webhooks.translate import describe

SOURCE = Source(kind="api", key="refresh")
LONGEST_WAIT_S = 12.0
PAUSES = [timedelta(minutes=minutes) for minutes in (1, 4, 16, 64, 4 * 60, 16 * 60, 24 * 60)]
MOST_TRIES = len(PAUSES) + 1  # the last one comes about two days after the first
NOT_YET = "GitHub does not show the commits of this head."


def keep(reads: Collection[Read]) -> None:
    """Record what was found. A head that is still not listed, with nothing pending, is tried later or given up."""
    settled = {read.wanted: read.why or NOT_YET for read in reads if not read.found.pending}
    with db.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        record([evidence(SOURCE, read.found.facts) for read in reads])
        missing = still_unlisted(settled)
        _forget(settled.keys() - missing)
        _remember({wanted: settled[wanted] for wanted in missing})


def put_off(wanted: Wanted, *, why: str, at_least: timedelta = timedelta()) -> None:
    """Try this one later. It is not given up, because GitHub did not say that it cannot be shown."""
    with db.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        _remember({wanted: why}, is_final=False, at_least=at_least)


def prune() -> int:
    """Delete failures of heads that are listed by now, replaced, or too old to be asked for; return how many."""
    missing = unlisted().filter(
        repository=OuterRef("repository"), number=OuterRef("number"), head_sha=OuterRef("head_sha")
    )
    is_old = Q(tried_at__lt=Now() - timedelta(days=settings.BACKFILL_DAYS))
    return RefreshFailure.objects.filter(is_old | ~Exists(missing)).delete()[0]


def _forget(listed: Collection[Wanted]) -> None:
    RefreshFailure.objects.filter(_is_one_of(listed)).delete()


def _remember(reasons: Mapping[Wanted, str], *, is_final: bool = True, at_least: timedelta = timedelta()) -> None:
    """Count an attempt at each; after the last one it is given up, if GitHub's answer is final."""
    known = RefreshFailure.objects.filter(_is_one_of(reasons))
    before = {(row.repository_id, row.number): row for row in known}
    rows = []
    for wanted, why in reasons.items():
        row = _next_failure(wanted, before=before.get((wanted.repository_id, wanted.number)), why=why)
        is_given_up = is_final and row.attempts == MOST_TRIES
        row.not_before = None if is_given_up else Now() + max(PAUSES[min(row.attempts, len(PAUSES)) - 1], at_least)
        rows.append(row)
    RefreshFailure.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["repository", "number"],
        update_fields=["head_sha", "attempts", "not_before", "reason", "tried_at"],
    )


def _next_failure(wanted: Wanted, *, before: RefreshFailure | None, why: str) -> RefreshFailure:
    attempts = before.attempts + 1 if before is not None and before.head_sha == wanted.head_sha else 1
    return RefreshFailure(
        repository_id=wanted.repository_id,
        number=wanted.number,
        head_sha=wanted.head_sha,
        attempts=min(attempts, MOST_TRIES),
        reason=storable(why),
        tried_at=Now(),
    )


def _is_one_of(wanted: Iterable[Wanted]) -> Q:
    """Return the condition for the rows of these pull requests, by their key."""
    keys = (Q(repository=one.repository_id, number=one.number) for one in wanted)
    return Q(Q(pk__in=()), *keys, _connector=Q.OR)  # the first of them stands for none


PACE_S = 30.0
"""Pull requests that change within this time share a request."""
REJECTED_S = 900.0
GROWTH = 5
logger = logging.getLogger(__name__)


def run(job: Job, deadline_s: float) -> None:
    """Ask for what is missing of the installation's pull requests, until nothing is due or GitHub refuses."""
    refresh(job, access=auth.github(), deadline_s=deadline_s)


def plan(at_start: bool = False) -> int:
    """Open a job for each installation that reaches a due pull request; return how many are new."""
    if not has_credentials():
        return 0
    with db.limit(seconds=LONGEST_WAIT_S):
        return open_refreshes(due_installations())


def open_refreshes(installation_ids: Iterable[int]) -> int:
    """Open a job for each of these installations; return how many had none."""
    due = {str(pk): pk for pk in installation_ids}
    return Job.objects.open(KIND.name, priority=KIND.priority, installations=due, page_size=MOST)


KIND = JobKind(name=REFRESH, priority=Priority.LIVE, run=run, plan=plan, recurs=True)


def refresh(job: Job, *, access: GitHubAccess, deadline_s: float) -> None:
    """Ask as `access` for what is missing, and release or end the job."""
    assert job.installation_id is not None, "a job without an installation"  # noqa: S101
    size = max(1, job.page_size // 2) if job.was_dropped else job.page_size
    progress = Progress(page_size=size, attempts=job.attempts)
    Refresh(job=job, installation_id=job.installation_id, access=access, progress=progress, deadline_s=deadline_s).run()


@dataclass(slots=True, kw_only=True)
class Refresh:
    """The part of the job that one task runs for one installation."""

    job: Job
    installation_id: int
    access: GitHubAccess
    progress: Progress
    deadline_s: float
    pages: int = 0
    error: str = ""

    def run(self) -> None:
        """Read batch after batch until there is something to wait for, and store where the next task continues."""
        outcome: GoOn | Wait | None = GoOn(self.progress)
        while isinstance(outcome, GoOn):
            self.progress = outcome.progress
            outcome = self._step()
        learned: dict[str, Any] = {
            "page_size": self.progress.page_size,
            "attempts": self.progress.attempts,
            "pages": self.job.pages + self.pages,
        }
        if outcome is None:
            changed = self.job.claim.end(Job.State.DONE, error=storable(self.error), **learned)
        else:
            after = timedelta(seconds=outcome.seconds)
            changed = self.job.claim.put_off(after=after, reason=outcome.reason, error=storable(self.error), **learned)
        ensure_held(changed)
        reason = outcome.reason if outcome else "done"
        logger.info("refresh_waits", extra={"installation": self.installation_id, "reason": reason})

    def _step(self) -> GoOn | Wait | None:
        """Read and store one batch; None where nothing is missing."""
        size = self.progress.page_size
        wanted = find_wanted(self.installation_id, most=size)
        if not wanted:
            return Wait(PACE_S, "") if self.pages else None
        if time.monotonic() >= self.deadline_s:
            return Wait(0.0, "")
        try:
            self._read(wanted)
        except (RequestFailedError, NoCredentialsError, UndecryptableError, SoftTimeLimitExceeded, Error) as error:
            return self._handle(error, wanted=wanted)
        self.error = ""
        self.pages += 1
        self.progress = Progress(page_size=min(size + GROWTH, MOST))
        return GoOn(self.progress) if len(wanted) == size else Wait(PACE_S, "")

    def _read(self, wanted: Sequence[Wanted]) -> None:
        purpose = Purpose(priority=Priority.LIVE, subject=self.job.subject)
        reader = Reader(access=self.access, installation_id=self.installation_id, purpose=purpose)
        if self.progress.skips_item:
            reads = [Read(wanted=one, found=Found(pending=(by_rest(one.number),))) for one in wanted]
        else:
            reads = read_by_number(wanted, reader=reader)
        keep(reads)
        for read in reads:
            self._finish(read, reader=reader)
        wake_next_waiter(reader.up_next)  # not before: a request in between would interrupt this one
        details = {"installation": self.installation_id, "asked": len(wanted), "calls": reader.calls}
        logger.info("refresh_read", extra=details)

    def _finish(self, read: Read, *, reader: Reader) -> None:
        """Read the pending parts of the pull request's lists, and store each at once."""
        try:
            while read.found.pending:
                if time.monotonic() >= self.deadline_s:
                    put_off(read.wanted, why="Its lists take too long to read.")
                    return
                read = self._fetch_first(read, reader=reader)
                keep([read])
        except RequestFailedError as unanswered:
            if unanswered.answer.kind in REFUSALS:
                keep([Read(wanted=read.wanted, why=unanswered.answer.message)])
                return
            if unanswered.answer.kind is ResponseKind.TRANSIENT:
                put_off(read.wanted, why=unanswered.answer.message)
            raise

    def _fetch_first(self, read: Read, *, reader: Reader) -> Read:
        """Fetch the first pending part, in one request."""
        first, *others = read.found.pending
        found = _fetch(first, wanted=read.wanted, reader=reader)
        why = read.why or "; ".join(skipped.why for skipped in found.skipped)
        return replace(read, found=replace(found, pending=(*found.pending, *others)), why=why)

    def _handle(self, error: Exception, *, wanted: Sequence[Wanted]) -> GoOn | Wait:
        """Return what follows an error; an unavailable database is raised again."""
        if isinstance(error, RequestFailedError):
            return self._follow(error, wanted=wanted)
        self.error = describe(error)
        if isinstance(error, NoCredentialsError | UndecryptableError):
            return Wait(REFUSED_S, "no_credentials")
        if isinstance(error, SoftTimeLimitExceeded | db.DatabaseTimeoutError):
            connection.close()
            self.deadline_s = 0.0
        elif not is_data_error(error):
            raise error
        if len(wanted) == 1:
            put_off(wanted[0], why=self.error)
            return GoOn(self.progress)
        return GoOn(replace(self.progress, page_size=len(wanted) // 2))

    def _follow(self, unanswered: RequestFailedError, *, wanted: Sequence[Wanted]) -> GoOn | Wait:
        answer = unanswered.answer
        wake_next_waiter(answer.up_next)
        self.error = answer.message
        chance = random.random()  # noqa: S311  spreads waits, guards nothing
        asked = replace(self.progress, page_size=len(wanted))
        outcome: Outcome = decide(answer, progress=asked, now=self.access.client.clock(), chance=chance)
        match outcome:
            case GoOn() | Wait():
                return outcome
            case TryAgain(seconds, reason, progress):
                if progress.skips_item and not asked.skips_item:
                    # This one may be the cause: the next time another comes first.
                    put_off(wanted[0], why=self.error, at_least=timedelta(seconds=2 * seconds))
                size = progress.page_size if progress.page_size < len(wanted) else self.progress.page_size
                self.progress = Progress(page_size=size, attempts=progress.attempts)
                return Wait(seconds, reason)
        return Wait(REJECTED_S, getattr(outcome, "reason", "gone"))


def _fetch(pending: PendingPart, *, wanted: Wanted, reader: Reader) -> Found:
    """Return a pending part; by REST where it is too much for GraphQL."""
    try:
        return fetch_part(pending, cursor=PullRequestCursor(), request=wanted.request(), reader=reader)
    except RequestFailedError as unanswered:
        if unanswered.answer.kind is ResponseKind.SHRINK and pending.part in {"lists", "whole"}:
            return Found(pending=(by_rest(pending.number),))
        raise

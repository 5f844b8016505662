"""What one task asks for on behalf of one installation. Nothing waits in here: each wait is kept in the row.

The lease is a row rather than a lock: the waits and the size of a batch have to be kept anyway, and claiming is one
UPDATE. One that runs out too early costs a point and does no harm, because facts merge.
"""

import logging
import random
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import Error, connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from apps.activity.facts import Source, evidence
from apps.activity.record import record
from apps.common import db
from apps.common.encryption import UndecryptableError
from apps.github.auth import GitHubAccess
from apps.github.credentials import NoCredentialsError
from apps.github.rate_limit import Priority, Purpose
from apps.github.responses import REFUSALS, Kind
from apps.integrations import waiters
from apps.integrations.models import Enrichment, EnrichmentAttempt
from apps.integrations.outcomes import REFUSED_S, GoOn, Outcome, Progress, TryAgain, Wait, decide
from apps.integrations.reader import Reader, RequestFailedError, storable
from apps.integrations.refresh.queries import MOST, Read, Wanted, find_wanted, read_by_number, still_unlisted, unlisted
from apps.integrations.refresh.wakeups import subject_of
from apps.integrations.streams.pull_request_parts import Found, PendingPart, PullRequestCursor, by_rest
from apps.integrations.streams.pull_requests import fetch_part
from apps.webhooks.retry import is_data_error
from apps.webhooks.translate import describe

SOURCE = Source(kind="api", key="enrichment")
LONGEST_WAIT_S = 12.0
PAUSES = [timedelta(minutes=minutes) for minutes in (1, 4, 16, 64, 4 * 60, 16 * 60, 24 * 60)]
MOST_TRIES = len(PAUSES) + 1  # the last one comes about two days after the first
NOT_YET = "GitHub does not show the commits of this head."


def keep(reads: Collection[Read]) -> None:
    """Record what was found. What is not listed even so, and owes nothing more, is tried later, or given up."""
    settled = {read.wanted: read.why or NOT_YET for read in reads if not read.found.pending}
    with db.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        record([evidence(SOURCE, read.found.facts) for read in reads])
        missing = still_unlisted(settled)
        _forget(settled.keys() - missing)
        _remember({wanted: settled[wanted] for wanted in missing})


def put_off(wanted: Wanted, *, why: str, at_least: timedelta = timedelta()) -> None:
    """Try this one later. It is not given up: nobody said that it cannot be shown."""
    with db.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        _remember({wanted: why}, is_final=False, at_least=at_least)


def prune() -> int:
    """Forget attempts at what is listed by now, has another head, or is older than what is asked for; how many."""
    missing = unlisted().filter(
        repository=OuterRef("repository"), number=OuterRef("number"), head_sha=OuterRef("head_sha")
    )
    is_old = Q(tried_at__lt=Now() - timedelta(days=settings.BACKFILL_DAYS))
    return EnrichmentAttempt.objects.filter(is_old | ~Exists(missing)).delete()[0]


def _forget(listed: Collection[Wanted]) -> None:
    EnrichmentAttempt.objects.filter(_is_one_of(listed)).delete()


def _remember(reasons: Mapping[Wanted, str], *, is_final: bool = True, at_least: timedelta = timedelta()) -> None:
    """Count an attempt at each. With the last one it is given up, if what GitHub said is final."""
    known = EnrichmentAttempt.objects.filter(_is_one_of(reasons))
    before = {(row.repository_id, row.number): row for row in known}
    rows = []
    for wanted, why in reasons.items():
        row = _next_attempt(wanted, before=before.get((wanted.repository_id, wanted.number)), why=why)
        is_given_up = is_final and row.attempts == MOST_TRIES
        row.not_before = None if is_given_up else Now() + max(PAUSES[min(row.attempts, len(PAUSES)) - 1], at_least)
        rows.append(row)
    EnrichmentAttempt.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["repository", "number"],
        update_fields=["head_sha", "attempts", "not_before", "reason", "tried_at"],
    )


def _next_attempt(wanted: Wanted, *, before: EnrichmentAttempt | None, why: str) -> EnrichmentAttempt:
    attempts = before.attempts + 1 if before is not None and before.head_sha == wanted.head_sha else 1
    return EnrichmentAttempt(
        repository_id=wanted.repository_id,
        number=wanted.number,
        head_sha=wanted.head_sha,
        attempts=min(attempts, MOST_TRIES),
        reason=storable(why),
        tried_at=Now(),
    )


def _is_one_of(wanted: Iterable[Wanted]) -> Q:
    """The rows of these pull requests, found by their key."""
    keys = (Q(repository=one.repository_id, number=one.number) for one in wanted)
    return Q(Q(pk__in=()), *keys, _connector=Q.OR)  # the first of them stands for none


TURN_S = 10.0
"""A task begins no request after so long: one takes 30 s at the most, and a task 45 s."""
PACE_S = 30.0
"""What comes up in this time shares a request."""
REJECTED_S = 900.0
AWAY, GIVE_BACK_S = timedelta(seconds=5), 3.0
GROWTH = 5
logger = logging.getLogger(__name__)


def enrich(installation_id: int, *, access: GitHubAccess, seconds: float = TURN_S) -> None:
    """Ask for what is missing of the installation's pull requests, until nothing is due or GitHub says no.

    Does nothing where another worker is at it, or its wait is not over. Raises the Error of a database that is away.
    """
    row = _claim(installation_id)
    if row is None:
        return
    try:
        Turn.of(row, access=access, deadline_s=time.monotonic() + seconds).take()
    except Error:
        connection.close()
        with suppress(Error), db.limit(seconds=GIVE_BACK_S):
            Enrichment.objects.filter(pk=row.pk).release(claim_number=row.claim_number, after=AWAY)
        raise


def _claim(installation_id: int) -> Enrichment | None:
    """The row as it was found, under a claim number of its own."""
    fresh = Enrichment(installation_id=installation_id, batch_size=MOST)
    Enrichment.objects.bulk_create([fresh], ignore_conflicts=True)
    own = Enrichment.objects.filter(pk=installation_id)
    row = own.get()
    if not own.filter(claim_number=row.claim_number).claim():
        return None
    row.claim_number += 1
    return row


@dataclass(slots=True, kw_only=True)
class Turn:
    """What one task reads for one installation."""

    installation_id: int
    claim_number: int
    access: GitHubAccess
    progress: Progress
    deadline_s: float
    error: str = ""

    @classmethod
    def of(cls, row: Enrichment, *, access: GitHubAccess, deadline_s: float) -> "Turn":
        """Go on as the last one ended; where it was never heard of again, with less at once."""
        was_dropped = row.lease_until is not None
        size = max(1, row.batch_size // 2) if was_dropped else row.batch_size
        progress = Progress(page_size=size, attempts=row.attempts)
        return cls(
            installation_id=row.pk,
            claim_number=row.claim_number,
            access=access,
            progress=progress,
            deadline_s=deadline_s,
        )

    def take(self) -> None:
        """Read batch after batch until there is something to wait for, and leave the row as the next one needs it."""
        outcome: GoOn | Wait = GoOn(self.progress)
        while isinstance(outcome, GoOn):
            self.progress = outcome.progress
            outcome = self._step()
        changed = Enrichment.objects.filter(pk=self.installation_id).release(
            claim_number=self.claim_number,
            after=timedelta(seconds=outcome.seconds),
            batch_size=self.progress.page_size,
            attempts=self.progress.attempts,
            reason=outcome.reason,
            error=storable(self.error),
        )
        told = {"installation": self.installation_id, "reason": outcome.reason, "is_held": bool(changed)}
        logger.info("enrichment_rests", extra=told)

    def _step(self) -> GoOn | Wait:
        """Read one batch and keep it."""
        size = self.progress.page_size
        wanted = find_wanted(self.installation_id, most=size)
        if not wanted:
            return Wait(PACE_S, "")
        if time.monotonic() >= self.deadline_s:
            return Wait(0.0, "")
        try:
            self._read(wanted)
        except (RequestFailedError, NoCredentialsError, UndecryptableError, SoftTimeLimitExceeded, Error) as error:
            return self._judge(error, wanted=wanted)
        self.error = ""
        self.progress = Progress(page_size=min(size + GROWTH, MOST))
        return GoOn(self.progress) if len(wanted) == size else Wait(PACE_S, "")

    def _read(self, wanted: Sequence[Wanted]) -> None:
        purpose = Purpose(priority=Priority.LIVE, subject=subject_of(self.installation_id))
        reader = Reader(access=self.access, installation_id=self.installation_id, purpose=purpose)
        if self.progress.steps_over:
            reads = [Read(wanted=one, found=Found(pending=(by_rest(one.number),))) for one in wanted]
        else:
            reads = read_by_number(wanted, reader=reader)
        keep(reads)
        for read in reads:
            self._finish(read, reader=reader)
        waiters.wake_next_waiter(reader.up_next)  # not before: whoever asks in between would break this off
        told = {"installation": self.installation_id, "asked": len(wanted), "calls": reader.calls}
        logger.info("enrichment_read", extra=told)

    def _finish(self, read: Read, *, reader: Reader) -> None:
        """Read what the pull request's lists still owe, each part kept as it comes."""
        try:
            while read.found.pending:
                if time.monotonic() >= self.deadline_s:
                    put_off(read.wanted, why="Its lists take too long to read.")
                    return
                read = self._pay(read, reader=reader)
                keep([read])
        except RequestFailedError as unanswered:
            if unanswered.answer.kind in REFUSALS:
                keep([Read(wanted=read.wanted, why=unanswered.answer.verdict.message)])
                return
            if unanswered.answer.kind is Kind.TRANSIENT:
                put_off(read.wanted, why=unanswered.answer.verdict.message)
            raise

    def _pay(self, read: Read, *, reader: Reader) -> Read:
        """One request for the first that is pending."""
        first, *others = read.found.pending
        found = _paid(first, wanted=read.wanted, reader=reader)
        why = read.why or "; ".join(skipped.why for skipped in found.skipped)
        return replace(read, found=replace(found, pending=(*found.pending, *others)), why=why)

    def _judge(self, error: Exception, *, wanted: Sequence[Wanted]) -> GoOn | Wait:
        """What follows on what went wrong; an Error that blames the database goes up."""
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
        waiters.wake_next_waiter(answer.up_next)
        self.error = answer.verdict.message
        chance = random.random()  # noqa: S311  spreads waits, guards nothing
        asked = replace(self.progress, page_size=len(wanted))
        outcome: Outcome = decide(answer, progress=asked, now=self.access.client.clock(), chance=chance)
        match outcome:
            case GoOn() | Wait():
                return outcome
            case TryAgain(seconds, reason, progress):
                if progress.steps_over and not asked.steps_over:
                    # It may be this one's doing: the next time another comes first.
                    put_off(wanted[0], why=self.error, at_least=timedelta(seconds=2 * seconds))
                size = progress.page_size if progress.page_size < len(wanted) else self.progress.page_size
                self.progress = Progress(page_size=size, attempts=progress.attempts)
                return Wait(seconds, reason)
        return Wait(REJECTED_S, getattr(outcome, "reason", "gone"))


def _paid(pending: PendingPart, *, wanted: Wanted, reader: Reader) -> Found:
    """What was pending; by REST where it is too much for GraphQL."""
    try:
        return fetch_part(pending, cursor=PullRequestCursor(), request=wanted.request(), reader=reader)
    except RequestFailedError as unanswered:
        if unanswered.answer.kind is Kind.SHRINK and pending.part in {"lists", "whole"}:
            return Found(pending=(by_rest(pending.number),))
        raise

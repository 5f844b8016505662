"""Claims on the repositories of a run, and what becomes of them: a result, a wait or a failure.

Many repositories are probed in one request, so a worker that claimed one claims more with it.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.db import Error, connection

from apps.common import db
from apps.common.encryption import UndecryptableError
from apps.github.credentials import NoCredentialsError
from apps.github.probes import MOST_AT_ONCE
from apps.integrations.models import RepositorySync
from apps.integrations.outcomes import (
    BUSY,
    FOR_ALL,
    REFUSED_S,
    SPENT,
    Fail,
    GoOn,
    Progress,
    TryAgain,
    Wait,
    decide,
    try_again,
)
from apps.integrations.reader import RequestFailedError, storable
from apps.jobs import claims
from apps.jobs.models import Job
from apps.webhooks.parsing import UnusablePayloadError
from apps.webhooks.retry import is_data_error
from apps.webhooks.translate import describe

LONGEST_WAIT_S = 6.0
NOT_REACHED = "No installation of the App reaches it: it was removed, is suspended, or its account was not accepted."
CRASHED = "Its workers crashed again and again."
FAILURES = (
    RequestFailedError,
    UnusablePayloadError,
    NoCredentialsError,
    UndecryptableError,
    SoftTimeLimitExceeded,
    Error,
)
"""Errors after which a repository waits or fails."""
logger = logging.getLogger(__name__)


def rows(statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a statement."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


def run(statement: str, **parameters: Any) -> None:
    """Run a statement that returns nothing."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A repository of a run that this worker holds until its lease runs out."""

    id: int
    claim_number: int
    repository_id: int
    sync_id: int
    attempts: int
    page_size: int
    """How many were probed at once when this one was probed last."""

    @classmethod
    def of(cls, row: RepositorySync) -> "Claimed":
        """Return the claim under which the row was read."""
        return cls(
            id=row.pk,
            claim_number=row.claim_number,
            repository_id=row.repository_id,
            sync_id=row.sync_id,
            attempts=row.attempts,
            page_size=row.page_size,
        )


# Held rows are changed together, in the order of their ids. A row whose claim was lost is left out, which the ids show.
_CHANGE = """
WITH mine AS (
    SELECT j.id FROM jobs_job j
    JOIN unnest(%(ids)s::bigint[], %(claims)s::int[]) AS held (id, claim_number)
      ON held.id = j.id AND held.claim_number = j.claim_number
    WHERE j.state = 'running' ORDER BY j.id FOR UPDATE OF j
), particular AS (
    UPDATE integrations_repositorysync s SET {particular} WHERE s.job_ptr_id = ANY(ARRAY(SELECT id FROM mine))
)
UPDATE jobs_job j SET {changes}, lease_until = NULL, leased_by = '' WHERE j.id = ANY(ARRAY(SELECT id FROM mine))
RETURNING j.id
"""
# A repository that differs waits with a reason, and is due once what differs was read.
_SETTLE = """
WITH probed AS (
    SELECT * FROM unnest(
        %(ids)s::bigint[], %(claims)s::int[], %(states)s::text[], %(marks)s::text[], %(differs)s::text[],
        %(reasons)s::text[], %(errors)s::text[]
    ) AS probed (id, claim_number, state, marks, differs, reason, error)
), mine AS (
    SELECT j.id FROM jobs_job j JOIN probed ON probed.id = j.id AND probed.claim_number = j.claim_number
    WHERE j.state = 'running' ORDER BY j.id FOR UPDATE OF j
), particular AS (
    UPDATE integrations_repositorysync s
    SET marks = probed.marks::jsonb, differs = string_to_array(probed.differs, ' '), probed_at = %(probed_at)s
    FROM probed WHERE s.job_ptr_id = probed.id AND s.job_ptr_id = ANY(ARRAY(SELECT id FROM mine))
)
UPDATE jobs_job j
SET state = probed.state, reason = probed.reason, error = probed.error, attempts = 0,
    advanced_at = statement_timestamp(),
    not_before = statement_timestamp() + CASE WHEN probed.reason = %(reading)s THEN interval '30 d' ELSE '0' END,
    lease_until = NULL, leased_by = '',
    finished_at = CASE WHEN probed.state IN ('done', 'failed') THEN statement_timestamp() END
FROM probed WHERE j.id = probed.id AND j.id = ANY(ARRAY(SELECT id FROM mine))
RETURNING j.id
"""
_MOVE = "installation_id = %(installation)s, state = 'waiting', not_before = statement_timestamp()"


def claim_more(job: Job, *, most: int) -> list[Claimed]:
    """Claim up to so many more of the installation's repositories that are to be probed."""
    mine = claims.claim_more(job, of=RepositorySync, condition="own.probed_at IS NULL", most=most)
    numbers = {claimed.pk: claimed.claim_number for claimed in mine}
    rows_of_mine = RepositorySync.objects.filter(pk__in=numbers)
    return [replace(Claimed.of(row), claim_number=numbers[row.pk]) for row in rows_of_mine]


def change(held: Iterable[Claimed], changes: str, *, particular: str = "sync_id = sync_id", **values: Any) -> set[int]:
    """Change the rows that are still held as the assignments say, and release them; return the ids of those rows.

    `changes` is of the job, `particular` of what only a repository of a run has.
    """
    mine = list(held)
    if not mine:
        return set()
    statement = _CHANGE.format(changes=changes, particular=particular)
    ids, claims = [one.id for one in mine], [one.claim_number for one in mine]
    return {row[0] for row in rows(statement, ids=ids, claims=claims, **values)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The result of a probe: the streams to read now, else the end, which is a failure if there is a reason."""

    claimed: Claimed
    marks: Mapping[str, Any]
    differs: tuple[str, ...] = ()
    is_counted: bool = False
    """Whether deletions are searched though nothing differs."""
    reason: str = ""
    error: str = ""

    @property
    def state(self) -> str:
        return "waiting" if self.differs or self.is_counted else "failed" if self.reason else "done"

    @property
    def reason_of_state(self) -> str:
        return RepositorySync.READING if self.differs or self.is_counted else self.reason


def settle(settled: Sequence[Settled], *, probed_at: datetime) -> set[int]:
    """Store the results of those that are still held, and release them; return the ids of those rows."""
    if not settled:
        return set()
    held = rows(
        _SETTLE,
        ids=[one.claimed.id for one in settled],
        claims=[one.claimed.claim_number for one in settled],
        states=[one.state for one in settled],
        marks=[json.dumps(one.marks) for one in settled],
        differs=[" ".join(one.differs) for one in settled],
        reasons=[one.reason_of_state for one in settled],
        errors=[one.error for one in settled],
        reading=RepositorySync.READING,
        probed_at=probed_at,
    )
    return {row[0] for row in held}


def hand_over(held: Claimed, *, installation_id: int) -> None:
    """Leave the repository to another installation that reaches it by now."""
    change([held], _MOVE, particular="probed_at = NULL", installation=installation_id)


def put_back(
    held: Iterable[Claimed],
    *,
    seconds: float = 0.0,
    reason: str = "",
    error: str = "",
    attempts: int | None = None,
    page_size: int | None = None,
) -> set[int]:
    """Let them wait to be probed again after so many seconds; return the ids of those still held."""
    return change(
        held,
        "state = 'waiting', reason = %(reason)s, error = %(error)s,"
        " not_before = statement_timestamp() + make_interval(secs => %(seconds)s),"
        " attempts = coalesce(%(attempts)s::smallint, j.attempts),"
        " page_size = coalesce(%(page_size)s::smallint, j.page_size)",
        particular="probed_at = NULL, differs = '{}'",
        seconds=seconds,
        reason=reason,
        error=error,
        attempts=attempts,
        page_size=page_size,
    )


def end(held: Iterable[Claimed], *, reason: str = "", error: str = "") -> set[int]:
    """End them, failed if there is a reason, done otherwise; return the ids of those still held."""
    return change(
        held,
        "state = %(state)s, reason = %(reason)s, error = %(error)s, finished_at = statement_timestamp()",
        state="failed" if reason else "done",
        reason=reason,
        error=error,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOutcome:
    """The outcome of a failed request for a batch: it waits so many seconds, or ends if `is_failure`.

    `most` is how many repositories are probed at once from now on.
    """

    reason: str = ""
    words: str = ""
    seconds: float = 0.0
    attempts: int | None = None
    most: int = MOST_AT_ONCE
    is_failure: bool = False


def decide_outcome(error: Exception, *, batch: Sequence[Claimed], now: float, chance: float) -> BatchOutcome:
    """Return the outcome of an error for these; the Error of a database that is away is raised again."""
    progress = Progress(page_size=len(batch), attempts=max(one.attempts for one in batch))
    if isinstance(error, RequestFailedError):
        decision = decide(error.answer, progress=progress, now=now, chance=chance)
        return _outcome_of(decision, words=error.answer.message)
    words = describe(error)
    if isinstance(error, SoftTimeLimitExceeded | db.DatabaseTimeoutError | UnusablePayloadError):
        reason = "unusable" if isinstance(error, UnusablePayloadError) else "timed_out"
        return _outcome_of(try_again(progress, chance=chance, reason=reason), words=words)
    if not isinstance(error, Error):
        return BatchOutcome(reason="no_credentials", words=words, seconds=REFUSED_S)
    if db.is_database_unavailable(error, but_for={db.QUERY_CANCELED}):
        raise error
    if not is_data_error(error):  # a slow statement, a lock, a fault of ours: fewer at once may be spared it
        outcome = _outcome_of(try_again(progress, chance=chance, reason="not_recorded"), words=words)
        return replace(outcome, most=max(1, len(batch) // 2))
    if len(batch) == 1:
        return BatchOutcome(reason="not_recorded", words=words, is_failure=True)
    return BatchOutcome(words=words, most=len(batch) // 2)


def apply_outcome(outcome: BatchOutcome, *, batch: Sequence[Claimed], row: RepositorySync) -> None:
    """Let the batch wait, or end it; `row` is the one under whose name it waits for GitHub, the others go with it."""
    with db.limit(seconds=LONGEST_WAIT_S):
        if outcome.is_failure:
            end(batch, reason=outcome.reason, error=storable(outcome.words))
        else:
            _put_back_batch(outcome, batch=batch, row=row)
            if outcome.reason in {SPENT, *FOR_ALL}:
                delay_others(outcome, installation_id=row.installation_id)
    facts = {"installation": row.installation_id, "reason": outcome.reason, "is_failure": outcome.is_failure}
    logger.info("repositories_not_probed", extra=facts)


def _put_back_batch(outcome: BatchOutcome, *, batch: Sequence[Claimed], row: RepositorySync) -> None:
    learned: dict[str, Any] = {"attempts": outcome.attempts, "page_size": outcome.most}
    waiting = [one for one in batch if outcome.reason != BUSY or one.id == row.pk]
    put_back(waiting, seconds=outcome.seconds, reason=outcome.reason, error=storable(outcome.words), **learned)
    put_back([one for one in batch if one not in waiting], **learned)


def delay_others(outcome: BatchOutcome, *, installation_id: int | None) -> None:
    """Let the other repositories of the installation that are to be probed wait as long."""
    others = RepositorySync.objects.filter(installation=installation_id, probed_at=None)
    others.wait_as_well(seconds=outcome.seconds, reason=outcome.reason)


def _outcome_of(decision: object, *, words: str) -> BatchOutcome:
    match decision:
        case GoOn(progress) if not progress.skips_item:
            return BatchOutcome(words=words, most=max(1, progress.page_size))
        case GoOn():
            return BatchOutcome(reason="too_much", words=words, is_failure=True, most=1)
        case Wait(seconds, reason):
            return BatchOutcome(reason=reason, seconds=seconds)
        case TryAgain(seconds, reason, progress):
            return BatchOutcome(reason=reason, words=words, seconds=seconds, attempts=progress.attempts)
        case Fail(reason):
            return BatchOutcome(reason=reason, words=words, is_failure=True)
    return BatchOutcome(reason="gone", words=words, is_failure=True)

"""Holding repositories of a run: many are probed in one request, so a worker that claimed one claims more with it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import connection

from apps.integrations.models import RepositorySync
from apps.jobs import claims
from apps.jobs.models import Job

NOT_REACHED = "No installation of the App reaches it: it was removed, is suspended, or its account was not accepted."
CRASHED = "Workers died of it again and again."


def rows(statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Return what the statement returns."""
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
    """How many were asked for at once when this one was asked for last."""

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


# Held rows are changed together, in the order of their ids; who lost one has it left out, and learns so by the count.
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
# What differs is waited for by its reason: it is due once it was read.
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
    """What a probe came to: the streams that are read now, else the end, a failure where there is a reason."""

    claimed: Claimed
    marks: Mapping[str, Any]
    differs: tuple[str, ...] = ()
    is_counted: bool = False
    """Whether deletions are looked for though nothing differs."""
    reason: str = ""
    error: str = ""

    @property
    def state(self) -> str:
        return "waiting" if self.differs or self.is_counted else "failed" if self.reason else "done"

    @property
    def reason_of_state(self) -> str:
        return RepositorySync.READING if self.differs or self.is_counted else self.reason


def settle(settled: Sequence[Settled], *, probed_at: datetime) -> set[int]:
    """Keep what became of those that are still held, and release them; return the ids of those rows."""
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
    """Another installation reaches it by now, and is to ask."""
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
    """Let them wait to be probed again after so many seconds."""
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
    """End them: failed where there is a reason, done otherwise."""
    return change(
        held,
        "state = %(state)s, reason = %(reason)s, error = %(error)s, finished_at = statement_timestamp()",
        state="failed" if reason else "done",
        reason=reason,
        error=error,
    )

"""Taking repositories of a run in hand: one statement that claims them and commits before GitHub is asked."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from apps.common import db
from apps.jobs.models import LEASE


def rows(statement: str, **asked: Any) -> list[tuple[Any, ...]]:
    """What the statement returns."""
    with connection.cursor() as cursor:
        cursor.execute(statement, asked)
        return list(cursor.fetchall())


def run(statement: str, **asked: Any) -> None:
    """Run a statement that returns nothing."""
    with connection.cursor() as cursor:
        cursor.execute(statement, asked)


LONGEST_WAIT_S = 6.0
NOT_REACHED = "No installation of the App reaches it: it was removed, is suspended, or its account was not accepted."
CRASHED = "Workers died of it again and again."
# A probe is not over while `probed_at` is empty: whoever held the lease is dead.
IS_DUE = """(
    (s.state = 'waiting' AND s.not_before <= statement_timestamp())
    OR (s.state = 'running' AND s.probed_at IS NULL AND s.lease_until < statement_timestamp())
)"""
# What was probed is counted once none of its walks goes on; one that somebody paused is not waited for.
IS_WALKED = """(
    (s.state = 'walking' AND s.not_before <= statement_timestamp() AND NOT EXISTS (
        SELECT FROM integrations_backfill b JOIN jobs_job j ON j.id = b.job_ptr_id
        WHERE b.repository_id = s.repository_id AND b.stream = ANY(s.differs) AND j.state IN ('waiting', 'running')
    ))
    OR (s.state = 'running' AND s.probed_at IS NOT NULL AND s.lease_until < statement_timestamp())
)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A repository of a run that this worker holds until its lease runs out."""

    id: int
    claim_number: int
    repository_id: int
    sync_id: int
    attempts: int


_TAKE_DUE = """
UPDATE integrations_repositorysync s
SET state = 'running', claim_number = s.claim_number + 1, lease_until = statement_timestamp() + %(lease)s,
    rung_at = NULL, reason = '', attempts = s.attempts + due.was_dropped::int
FROM due WHERE s.id = due.id
RETURNING s.id, s.claim_number, s.repository_id, s.sync_id, s.attempts
"""
# One probe of an installation at a time: a second one would only wait for its turn at GitHub.
_CLAIM = f"""
WITH due AS (
    SELECT s.id, s.state = 'running' AS was_dropped FROM integrations_repositorysync s
    WHERE s.installation_id = %(installation)s AND {IS_DUE} AND NOT EXISTS (
        SELECT FROM integrations_repositorysync other
        WHERE other.installation_id = %(installation)s AND other.state = 'running' AND other.probed_at IS NULL
          AND other.lease_until >= statement_timestamp()
    )
    ORDER BY s.id = %(first)s DESC, s.not_before, s.id LIMIT %(most)s
    FOR UPDATE SKIP LOCKED
)
{_TAKE_DUE}"""  # noqa: S608  put together of constants
_CLAIM_WALKED = f"""
WITH due AS (
    SELECT s.id, s.state = 'running' AS was_dropped FROM integrations_repositorysync s
    WHERE s.id = %(id)s AND {IS_WALKED}
    FOR UPDATE SKIP LOCKED
)
{_TAKE_DUE}"""  # noqa: S608
# Held rows are changed together, in the order of their ids; who lost one has it left out, and learns so by the count.
_CHANGE = """
WITH mine AS (
    SELECT s.id FROM integrations_repositorysync s
    JOIN unnest(%(ids)s::bigint[], %(claims)s::int[]) AS held (id, claim_number)
      ON held.id = s.id AND held.claim_number = s.claim_number
    WHERE s.state = 'running' ORDER BY s.id FOR UPDATE OF s
)
UPDATE integrations_repositorysync s SET {changes} WHERE s.id = ANY(ARRAY(SELECT id FROM mine)) RETURNING s.id
"""
_SETTLE = """
WITH told AS (
    SELECT * FROM unnest(
        %(ids)s::bigint[], %(claims)s::int[], %(states)s::text[], %(marks)s::text[], %(differs)s::text[],
        %(reasons)s::text[], %(errors)s::text[]
    ) AS told (id, claim_number, state, marks, differs, reason, error)
), mine AS (
    SELECT s.id FROM integrations_repositorysync s JOIN told ON told.id = s.id AND told.claim_number = s.claim_number
    WHERE s.state = 'running' ORDER BY s.id FOR UPDATE OF s
)
UPDATE integrations_repositorysync s
SET state = told.state, marks = told.marks::jsonb, differs = string_to_array(told.differs, ' '),
    reason = told.reason, error = told.error, probed_at = %(probed_at)s, not_before = statement_timestamp(),
    lease_until = NULL, rung_at = NULL, attempts = 0,
    finished_at = CASE WHEN told.state IN ('done', 'failed') THEN statement_timestamp() END
FROM told WHERE s.id = told.id AND s.id = ANY(ARRAY(SELECT id FROM mine))
RETURNING s.id
"""
_MOVE = "installation_id = %(installation)s, state = 'waiting', not_before = statement_timestamp(), probed_at = NULL"
_TAKE_TURN = "SELECT pg_try_advisory_xact_lock(hashint8(%(installation)s), %(turn)s)"
_TURN = 0x70726F62


def claim_batch(installation_id: int, *, most: int, first: int = 0) -> list[Claimed]:
    """Claim up to so many repositories that are due there, `first` (a row's id) before all others.

    Nothing while another worker probes for the installation.
    """
    with db.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        [(is_ours,)] = rows(_TAKE_TURN, installation=installation_id, turn=_TURN)
        found = rows(_CLAIM, installation=installation_id, most=most, first=first, lease=LEASE) if is_ours else []
    return sorted(_claimed(found), key=lambda one: one.repository_id)


def claim_walked(repository_sync_id: int) -> Claimed | None:
    """Claim it if all of its walks are over, or if whoever counted it is dead."""
    with db.limit(seconds=LONGEST_WAIT_S):
        return next(iter(_claimed(rows(_CLAIM_WALKED, id=repository_sync_id, lease=LEASE))), None)


def change(held: Iterable[Claimed], changes: str, **values: Any) -> set[int]:
    """Change the rows that are still held as the assignments say, and let them go; the ids of those rows."""
    mine = list(held)
    if not mine:
        return set()
    statement = _CHANGE.format(changes=f"{changes}, lease_until = NULL")
    ids, claims = [one.id for one in mine], [one.claim_number for one in mine]
    return {row[0] for row in rows(statement, ids=ids, claims=claims, **values)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What a probe came to: the streams that are walked now, else the end, a failure where there is a reason."""

    claimed: Claimed
    marks: Mapping[str, Any]
    differs: tuple[str, ...] = ()
    is_counted: bool = False
    """Whether deletions are looked for though nothing differs."""
    reason: str = ""
    error: str = ""

    @property
    def state(self) -> str:
        return "walking" if self.differs or self.is_counted else "failed" if self.reason else "done"


def settle(settled: Sequence[Settled], *, probed_at: datetime) -> set[int]:
    """Keep what became of those that are still held, and let them go; the ids of those rows."""
    if not settled:
        return set()
    held = rows(
        _SETTLE,
        ids=[one.claimed.id for one in settled],
        claims=[one.claimed.claim_number for one in settled],
        states=[one.state for one in settled],
        marks=[json.dumps(one.marks) for one in settled],
        differs=[" ".join(one.differs) for one in settled],
        reasons=[one.reason for one in settled],
        errors=[one.error for one in settled],
        probed_at=probed_at,
    )
    return {row[0] for row in held}


def hand_over(held: Claimed, *, installation_id: int) -> None:
    """Another installation reaches it by now, and is to ask."""
    change([held], _MOVE, installation=installation_id)


def put_back(
    held: Iterable[Claimed], *, seconds: float = 0.0, reason: str = "", error: str = "", attempts: int | None = None
) -> set[int]:
    """Let them wait to be probed again after so many seconds."""
    return change(
        held,
        "state = 'waiting', probed_at = NULL, differs = '{}', reason = %(reason)s, error = %(error)s,"
        " not_before = statement_timestamp() + make_interval(secs => %(seconds)s),"
        " attempts = coalesce(%(attempts)s::smallint, s.attempts)",
        seconds=seconds,
        reason=reason,
        error=error,
        attempts=attempts,
    )


def end(held: Iterable[Claimed], *, reason: str = "", error: str = "") -> set[int]:
    """End them: failed where there is a reason, done otherwise."""
    return change(
        held,
        "state = %(state)s, reason = %(reason)s, error = %(error)s, finished_at = statement_timestamp(),"
        " rung_at = NULL",
        state="failed" if reason else "done",
        reason=reason,
        error=error,
    )


def _claimed(found: Sequence[tuple[Any, ...]]) -> list[Claimed]:
    return [
        Claimed(id=row[0], claim_number=row[1], repository_id=row[2], sync_id=row[3], attempts=row[4]) for row in found
    ]

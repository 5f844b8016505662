"""Claiming a job: one statement that takes the next and commits before any work begins.

The next one is chosen fairly: of each kind an installation has so many at work at once, as the kind says. Among what
is due the most urgent comes first, then what advanced longest ago. What waits for its turn at GitHub (`busy`) keeps
its place.
"""

from typing import Any

from django.db import connection, transaction

from apps.common import db
from apps.jobs.models import LEASE, Job
from apps.jobs.registry import kinds

LONGEST_WAIT_S = 6.0
_ONE_AT_A_TIME = 0x6A_6F_62
"""The advisory lock of claims: two at once would give one place away twice."""


_IS_DUE = """(
    (j.state = 'waiting' AND j.not_before <= statement_timestamp())
    OR (j.state = 'running' AND j.lease_until < statement_timestamp())
)"""
_IS_UNFINISHED = "j.state IN ('waiting', 'running')"
# The first line is the condition of the index job_at_work.
_HAS_A_PLACE = """(j.state = 'running' OR (j.state = 'waiting' AND j.reason = 'busy'))
    AND (j.reason = 'busy' OR j.lease_until >= statement_timestamp())"""
# From one installation of a kind to the next by the index, however many jobs each has. Jobs without an installation
# are few; of each kind, whose jobs are equally urgent, those are looked at that waited longest.
_NEXT = f"""
WITH RECURSIVE lane AS (
    (SELECT j.kind, j.installation_id FROM jobs_job j
     WHERE {_IS_UNFINISHED} AND j.installation_id IS NOT NULL ORDER BY 1, 2 LIMIT 1)
    UNION ALL
    (SELECT next.* FROM lane CROSS JOIN LATERAL (
        SELECT j.kind, j.installation_id FROM jobs_job j
        WHERE {_IS_UNFINISHED} AND j.installation_id IS NOT NULL
          AND (j.kind, j.installation_id) > (lane.kind, lane.installation_id) ORDER BY 1, 2 LIMIT 1
    ) next)
), due AS (
    SELECT found.* FROM lane
    JOIN unnest(%(kinds)s::text[], %(places)s::int[]) AS known (kind, places) ON known.kind = lane.kind
    CROSS JOIN LATERAL (
        SELECT count(*) AS taken FROM jobs_job j
        WHERE j.kind = lane.kind AND j.installation_id = lane.installation_id AND {_HAS_A_PLACE}
    ) work
    CROSS JOIN LATERAL (
        (SELECT j.id, j.priority, j.advanced_at FROM jobs_job j
         WHERE j.kind = lane.kind AND j.installation_id = lane.installation_id AND {_HAS_A_PLACE} AND {_IS_DUE})
        UNION ALL
        (SELECT j.id, j.priority, j.advanced_at FROM jobs_job j
         WHERE j.kind = lane.kind AND j.installation_id = lane.installation_id AND {_IS_UNFINISHED}
           AND j.reason <> 'busy' AND {_IS_DUE}
         ORDER BY j.advanced_at NULLS FIRST, j.id LIMIT greatest(0, known.places - work.taken))
    ) found
    UNION ALL
    SELECT found.* FROM unnest(%(kinds)s::text[]) AS known (kind)
    CROSS JOIN LATERAL (
        SELECT j.id, j.priority, j.advanced_at FROM jobs_job j
        WHERE j.kind = known.kind AND j.installation_id IS NULL AND {_IS_UNFINISHED} AND {_IS_DUE}
        ORDER BY j.advanced_at NULLS FIRST, j.id LIMIT 100
    ) found
)"""  # noqa: S608  put together of constants
_CLAIM = """
UPDATE jobs_job j
SET state = 'running', claim_number = j.claim_number + 1, leased_by = %(task_id)s, reason = '',
    lease_until = statement_timestamp() + %(lease)s, started_at = coalesce(j.started_at, statement_timestamp()),
    attempts = j.attempts + mine.was_dropped::int
FROM mine WHERE j.id = mine.id
RETURNING j.*, mine.was_dropped
"""
# A job that somebody changes just now is not waited for: another one is claimed.
_CLAIM_NEXT = f"""{_NEXT}, mine AS (
    SELECT j.id, j.state = 'running' AS was_dropped FROM due JOIN jobs_job j ON j.id = due.id
    WHERE {_IS_DUE} ORDER BY due.priority, due.advanced_at NULLS FIRST, due.id LIMIT 1
    FOR UPDATE OF j SKIP LOCKED
){_CLAIM}"""  # noqa: S608
# What this very task held when it was killed is its own again, if Celery says that the message came back.
_CLAIM_NAMED = f"""
WITH mine AS (
    SELECT j.id, j.state = 'running' AS was_dropped FROM jobs_job j
    WHERE {{named}} AND ({_IS_DUE} OR (j.state = 'running' AND %(is_redelivered)s AND j.leased_by = %(task_id)s))
    LIMIT 1 FOR UPDATE SKIP LOCKED
){_CLAIM}"""  # noqa: S608
# Those that wait longest first; `own` is what is particular to their kind.
_CLAIM_MORE = f"""
WITH mine AS (
    SELECT j.id, j.state = 'running' AS was_dropped FROM jobs_job j JOIN {{table}} own ON own.job_ptr_id = j.id
    WHERE j.kind = %(kind)s AND j.installation_id = %(installation)s AND {{condition}} AND {_IS_DUE}
    ORDER BY j.not_before, j.id LIMIT %(most)s FOR UPDATE OF j SKIP LOCKED
){_CLAIM}"""  # noqa: S608
_COUNT_DUE = f"{_NEXT} SELECT count(*) FROM due"  # noqa: S608
_CLAIM_ONE = _CLAIM_NAMED.format(named="j.id = %(id)s")
_CLAIM_OWN = _CLAIM_NAMED.format(named="j.state = 'running' AND j.leased_by = %(task_id)s")


def claim_next(*, task_id: str, is_redelivered: bool = False) -> Job | None:
    """Claim the job whose turn it is, or the one that this very task held before its message came back."""
    own = _claim(_CLAIM_OWN, task_id=task_id, is_redelivered=True) if is_redelivered else None
    if own is not None:
        return own
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ONE_AT_A_TIME])
        return _claim(_CLAIM_NEXT, task_id=task_id, **_of_kinds())


def claim(job_id: int, *, task_id: str, is_redelivered: bool = False) -> Job | None:
    """Claim this job if it is due, also if its lane is full."""
    return _claim(_CLAIM_ONE, id=job_id, task_id=task_id, is_redelivered=is_redelivered)


def claim_more(job: Job, *, of: type[Job], condition: str, most: int) -> list[Job]:
    """Claim up to so many more jobs of the claimed one's kind, model and installation, with it and under its lease."""
    if not most:
        return []
    statement = _CLAIM_MORE.format(table=of._meta.db_table, condition=condition)
    about = {"kind": job.kind, "installation": job.installation_id, "task_id": job.leased_by}
    return _claim_all(statement, **about, most=most)


def count_due() -> int:
    """Return how many jobs workers may claim now."""
    with db.limit(seconds=LONGEST_WAIT_S), connection.cursor() as cursor:
        cursor.execute(_COUNT_DUE, _of_kinds())
        return int(cursor.fetchone()[0])


def _claim(statement: str, **parameters: Any) -> Job | None:
    return next(iter(_claim_all(statement, **parameters)), None)


def _claim_all(statement: str, **parameters: Any) -> list[Job]:
    with db.limit(seconds=LONGEST_WAIT_S):
        return list(Job.objects.raw(statement, parameters | {"lease": LEASE}))


def _of_kinds() -> dict[str, Any]:
    known = kinds()
    return {"kinds": [kind.name for kind in known], "places": [kind.places for kind in known]}

"""Claims of deliveries: one statement that claims and commits before any work is done."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

import psycopg
from django.db import Error, connection, transaction
from psycopg.rows import dict_row

from apps.common import db
from apps.webhooks.models import Delivery, days_of_body
from apps.webhooks.retry import ENVIRONMENT_WAIT

MOST_CLAIMED = 100  # a larger batch is not cheaper per delivery and needs more memory and a longer transaction
FAIR_SHARE = 40  # the most of one installation in a batch while others wait
MOST_BYTES = 32 * 1024 * 1024
MOST_CRASHES = 3
LEASE_S = 60
LONGEST_WAIT_S = 6.0
SLOW_MAY_WAIT_S = 60.0
"""A slow delivery that has been due for this long no longer waits for others."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery claimed by this worker until its lease expires; `content` is None if its body has expired."""

    id: int
    hook_id: int
    guid: UUID
    event: str
    received_at: datetime
    claim_number: int
    attempts: int
    size: int
    is_claimed_alone: bool
    state: str
    content: bytes | None = field(repr=False)
    content_type: str | None


_COLUMNS = """
    d.id, d.hook_id, d.guid, d.event, d.received_at, d.claim_number, d.attempts, d.size, d.is_claimed_alone, d.state
"""
_CANDIDATE = "id, coalesce(installation_id, 0) AS installation, source, not_before, size"
_WAITS = "state IN ('received', 'failed') AND not_before <= statement_timestamp()"
_DUE = f"{_WAITS} AND NOT is_slow"

# `waiting` steps through the installations with due deliveries by the index, only if one exceeds its share.
_CLAIM_BATCH = f"""
WITH RECURSIVE named AS MATERIALIZED (
    SELECT {_CANDIDATE}, true AS is_named FROM webhooks_delivery
    WHERE id = ANY(%(ids)s::bigint[]) AND {_DUE} ORDER BY id LIMIT %(most)s FOR UPDATE SKIP LOCKED
), oldest AS MATERIALIZED (
    SELECT {_CANDIDATE}, false AS is_named FROM webhooks_delivery
    WHERE {_DUE} AND id <> ALL(%(ids)s::bigint[]) ORDER BY source, not_before LIMIT %(most)s FOR UPDATE SKIP LOCKED
), first_seen AS (
    SELECT * FROM named UNION ALL SELECT * FROM oldest
), greedy AS MATERIALIZED (
    SELECT installation FROM first_seen GROUP BY installation HAVING count(*) > %(share)s
), waiting AS (
    (SELECT coalesce(installation_id, 0) AS installation FROM webhooks_delivery
     WHERE state IN ('received', 'failed') AND EXISTS (SELECT FROM greedy) ORDER BY 1 LIMIT 1)
    UNION ALL
    SELECT (SELECT coalesce(d.installation_id, 0) FROM webhooks_delivery d
            WHERE d.state IN ('received', 'failed') AND coalesce(d.installation_id, 0) > waiting.installation
            ORDER BY 1 LIMIT 1)
    FROM waiting WHERE waiting.installation IS NOT NULL
), others AS MATERIALIZED (
    SELECT d.* FROM (
        SELECT installation FROM waiting LIMIT 500
    ) other CROSS JOIN LATERAL (
        SELECT {_CANDIDATE}, false AS is_named FROM webhooks_delivery
        WHERE coalesce(installation_id, 0) = other.installation AND {_DUE}
          AND id <> ALL(ARRAY(SELECT id FROM first_seen))
        ORDER BY source, not_before LIMIT %(share)s + 1 FOR UPDATE SKIP LOCKED
    ) d
    WHERE other.installation NOT IN (SELECT installation FROM greedy)
), ranked AS (
    SELECT *, %(share)s < row_number() OVER (
        PARTITION BY installation ORDER BY is_named DESC, source, not_before, id
    ) AS is_beyond_its_share
    FROM (SELECT * FROM first_seen UNION ALL SELECT * FROM others) candidates
), chosen AS (
    SELECT id FROM (
        SELECT id, row_number() OVER queue AS position, sum(size) OVER queue AS bytes FROM ranked
        WHERE NOT is_beyond_its_share
           OR 1 = (SELECT count(DISTINCT installation) FROM ranked WHERE is_beyond_its_share)
        WINDOW queue AS (ORDER BY is_beyond_its_share, is_named DESC, source, not_before, id)
    ) queued
    WHERE position <= %(most)s AND (bytes <= %(bytes)s OR position = 1)
)
UPDATE webhooks_delivery d
SET state = 'running', claim_number = d.claim_number + 1, leased_by = %(task_id)s, claimed_at = statement_timestamp(),
    lease_until = statement_timestamp() + make_interval(secs => %(lease)s), is_claimed_alone = false
FROM chosen WHERE d.id = chosen.id
RETURNING {_COLUMNS}
"""  # noqa: S608  put together of constants

# A concurrent claim of another slow delivery would not be seen, so only one worker at a time claims.
_LOCK_SLOW_CLAIM = "SELECT pg_try_advisory_xact_lock(hashtext('webhooks: the claim of a slow delivery'))"
_CLAIM_SLOW = f"""
WITH chosen AS (
    SELECT id FROM webhooks_delivery
    WHERE is_slow AND {_WAITS}
      AND NOT EXISTS (SELECT FROM webhooks_delivery WHERE state = 'running' AND is_slow)
      AND (not_before <= statement_timestamp() - make_interval(secs => %(patience)s)
           OR NOT EXISTS (SELECT FROM webhooks_delivery WHERE {_DUE}))
    ORDER BY source, not_before LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE webhooks_delivery d
SET state = 'running', claim_number = d.claim_number + 1, leased_by = %(task_id)s, claimed_at = statement_timestamp(),
    lease_until = statement_timestamp() + make_interval(secs => %(lease)s), is_claimed_alone = true
FROM chosen WHERE d.id = chosen.id
RETURNING {_COLUMNS}
"""  # noqa: S608  put together of constants

# Deliveries never claimed alone come first, so that one that kills workers does not delay the rest of its batch.
_CLAIM_SUSPECT = f"""
WITH suspect AS (
    SELECT id, crashes + is_claimed_alone::int AS crashes FROM webhooks_delivery
    WHERE state = 'running'
      AND (lease_until < statement_timestamp() OR (%(is_redelivered)s AND leased_by = %(task_id)s))
    ORDER BY is_claimed_alone, crashes, id LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE webhooks_delivery d
SET crashes = suspect.crashes,
    claim_number = d.claim_number + 1,
    is_claimed_alone = suspect.crashes < %(most_crashes)s,
    claimed_at = statement_timestamp(),
    state = CASE WHEN suspect.crashes < %(most_crashes)s THEN 'running' ELSE 'dead' END,
    reason = CASE WHEN suspect.crashes < %(most_crashes)s THEN d.reason ELSE 'crashed' END,
    leased_by = CASE WHEN suspect.crashes < %(most_crashes)s THEN %(task_id)s ELSE '' END,
    lease_until = CASE WHEN suspect.crashes < %(most_crashes)s
                       THEN statement_timestamp() + make_interval(secs => %(lease)s) END,
    finished_at = CASE WHEN suspect.crashes < %(most_crashes)s THEN NULL ELSE statement_timestamp() END
FROM suspect WHERE d.id = suspect.id
RETURNING {_COLUMNS}
"""  # noqa: S608  put together of constants

# The oldest due first, and no further: those behind them are claimed when a worker fills up its batch. Of the slow
# ones, which are processed one at a time, the next; none while one is being processed. As arrays the ids are found
# once, whatever the planner believes of a table that was empty when it was last analyzed: joined, they would be found
# again for each row.
_MARK_NOTIFIED = """
UPDATE webhooks_delivery SET notified_at = statement_timestamp()
WHERE id = ANY (ARRAY(
    SELECT id FROM webhooks_delivery
    WHERE notified_at < statement_timestamp() - make_interval(secs => %(again)s) AND id = ANY (ARRAY(
        (SELECT id FROM webhooks_delivery
         WHERE state IN ('received', 'failed') AND not_before <= statement_timestamp() AND NOT is_slow
         ORDER BY source, not_before LIMIT %(most)s)
        UNION ALL
        (SELECT id FROM webhooks_delivery
         WHERE state IN ('received', 'failed') AND not_before <= statement_timestamp() AND is_slow
           AND NOT EXISTS (SELECT FROM webhooks_delivery WHERE state = 'running' AND is_slow)
         ORDER BY source, not_before LIMIT 1)
        UNION ALL
        (SELECT id FROM webhooks_delivery
         WHERE state = 'running' AND lease_until < statement_timestamp() ORDER BY lease_until LIMIT %(most)s)
    ))
    FOR UPDATE SKIP LOCKED
))
RETURNING id, is_slow AND state <> 'running'
"""
NOTIFY_AGAIN_AFTER_S = 5
MOST_NOTIFIED = 1000

# An attempt counts before the work, so that a body that kills its worker is not read forever.
_CLAIM_OTHER_BODY = """
UPDATE webhooks_otherbody SET attempts = attempts + 1, not_before = statement_timestamp() + interval '2 minutes'
WHERE id = (
    SELECT id FROM webhooks_otherbody WHERE not_before <= statement_timestamp()
    ORDER BY not_before LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id
"""

_BODIES = """
SELECT delivery_id, content, headers ->> 'content-type' FROM webhooks_deliverybody
WHERE day = ANY(%(days)s::date[]) AND delivery_id = ANY(%(ids)s::bigint[])
"""


def claim_batch(ids: Sequence[int], *, task_id: str) -> list[Claimed]:
    """Claim the given deliveries if due, and the oldest due ones: at most 100, returned by id.

    Webhooks go before recovered deliveries and replays, and no installation gets more than 40 while others wait.
    """
    parameters = {"ids": list(ids), "most": MOST_CLAIMED, "share": FAIR_SHARE, "bytes": MOST_BYTES}
    return _claim(_CLAIM_BATCH, parameters, task_id=task_id)


def claim_slow(*, task_id: str) -> Claimed | None:
    """Claim a due slow delivery alone, unless one is being processed: slow ones use at most one worker.

    Other deliveries go first, but a slow one waits for them at most a minute after it is due.
    """
    with db.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_LOCK_SLOW_CLAIM)
            if not cursor.fetchone()[0]:
                return None
        return next(iter(_claim(_CLAIM_SLOW, {"patience": SLOW_MAY_WAIT_S}, task_id=task_id)), None)


def claim_suspect(*, task_id: str, is_redelivered: bool) -> Claimed | None:
    """Claim alone a delivery whose last claim ended without a result: its lease expired, or this task held it.

    Only a claim made alone counts as a crash; after the third it is returned as `dead` and must not be processed.
    """
    parameters = {"is_redelivered": is_redelivered, "most_crashes": MOST_CRASHES}
    return next(iter(_claim(_CLAIM_SUSPECT, parameters, task_id=task_id)), None)


def claim_other_body() -> int | None:
    """Claim the next body to be compared with the first of its key; return its id, None if none is due."""
    return next((row[0] for row in db.run(_CLAIM_OTHER_BODY)), None)


def mark_notified() -> list[tuple[int, bool]]:
    """Mark due deliveries of which no worker was notified for 5 s; return their ids, and whether they are slow."""
    return sorted(db.run(_MARK_NOTIFIED, {"again": NOTIFY_AGAIN_AFTER_S, "most": MOST_NOTIFIED}))


def is_full(batch: Sequence[Claimed]) -> bool:
    """Return whether more may be due than fits in a batch."""
    return len(batch) >= 2 * FAIR_SHARE or sum(claimed.size for claimed in batch) > MOST_BYTES // 2


def _claim(statement: str, parameters: dict[str, Any], *, task_id: str) -> list[Claimed]:
    with db.limit(seconds=LONGEST_WAIT_S):
        connection.ensure_connection()
        with connection.wrap_database_errors:
            with psycopg.Cursor(connection.connection, row_factory=dict_row) as cursor:
                cursor.execute(
                    statement, {**parameters, "task_id": task_id, "lease": LEASE_S}, prepare=True, binary=True
                )
                rows = cursor.fetchall()
            bodies = _read_bodies(rows)
    nothing = (None, None)
    found = [(row, *bodies.get(row["id"], nothing)) for row in sorted(rows, key=itemgetter("id"))]
    return [Claimed(**row, content=content, content_type=content_type) for row, content, content_type in found]


def _read_bodies(rows: Sequence[dict[str, Any]]) -> dict[int, tuple[bytes, str | None]]:
    """Return content and content type by delivery; the body of a claimed delivery may move but never expires.

    It is a separate statement, planned each time, so that PostgreSQL locks only the partitions of these days.
    """
    days = {day for row in rows for day in days_of_body(row["received_at"])}
    parameters = {"days": list(days), "ids": [row["id"] for row in rows]}
    with psycopg.Cursor(connection.connection) as cursor:
        found = cursor.execute(_BODIES, parameters, prepare=False, binary=True) if rows else ()
        return {id_: (content, content_type) for id_, content, content_type in found}


LONGEST_RELEASE_S = 5.0
logger = logging.getLogger(__name__)
_held: dict[int, int] = {}  # delivery id to claim number; one process, one task at a time
_unanswered: set[str] = set()  # tasks whose last claim got no answer


def release(batch: Iterable[Claimed]) -> None:
    """Release claims without a result, now or, if the database is away, before this process claims again.

    Otherwise a lease that expired in an outage would count as a crash of the delivery.
    """
    _held.update({claimed.id: claimed.claim_number for claimed in batch})
    try:
        release_leftovers()
    except Error:
        logger.warning("claims_not_released", extra={"deliveries": sorted(_held)})


def release_unanswered(task_id: str) -> int:
    """Release the claim of a task whose answer was lost, now or before the next claim; return how many were released.

    The claim may have been committed; its deliveries would otherwise wait until their leases expire.
    """
    _unanswered.add(task_id)
    try:
        return release_leftovers()
    except Error:
        return 0


def release_leftovers() -> int:
    """Release all claims still held from before; return how many deliveries are due at once because of that.

    Raises an Error of the database if it is still away.
    """
    due = 0
    with db.limit(seconds=LONGEST_RELEASE_S):
        for task_id in list(_unanswered):
            due += Delivery.objects.release_all_of(task_id)
            _unanswered.remove(task_id)
        for delivery_id, claim_number in list(_held.items()):
            Delivery.objects.filter(id=delivery_id).release(claim_number=claim_number, after=ENVIRONMENT_WAIT)
            del _held[delivery_id]
    return due

"""Whose turn it is: which walks the workers are told of next, installation by installation. Messages are hints.

Two walks of an installation are at work at once: while the page of one is kept, that of the other is read. Those that
advanced longest ago come first. A place is taken by a walk that runs, that waits for its turn at GitHub (`busy`), or
that was told of a moment ago.
"""

import logging
import re
from collections.abc import Sequence
from functools import partial

from celery import current_app
from django.db import connection, transaction

from apps.common import db
from apps.jobs import wakeups

ADVANCE_TASK = "apps.integrations.tasks.advance_backfill"
AT_ONCE = 2
ENQUEUE_AGAIN_AFTER_S = 10
LONGEST_WAIT_S = 6.0
_SUBJECT = re.compile(r"backfill (\d+)")
_ONE_AT_A_TIME = 0x62_65_6C_6C
"""The advisory lock under which turns are given: two bells at once would give one place away twice."""
logger = logging.getLogger(__name__)

_UNFINISHED = "b.state IN ('waiting', 'running')"
_IS_TOLD = "coalesce(b.rung_at > statement_timestamp() - make_interval(secs => %(again)s), false)"
_IS_DUE = f"""NOT {_IS_TOLD} AND (
    (b.state = 'waiting' AND b.not_before <= statement_timestamp())
    OR (b.state = 'running' AND b.lease_until < statement_timestamp())
)"""
# Its first three lines are the condition of the index backfill_at_work.
_HAS_A_PLACE = f"""(
        b.state = 'running' OR (b.state = 'waiting' AND b.reason = 'busy')
        OR (b.state = 'waiting' AND b.rung_at IS NOT NULL)
    ) AND (b.reason = 'busy' OR {_IS_TOLD} OR (b.state = 'running' AND b.lease_until >= statement_timestamp()))
"""
_ONE = "SELECT %(installation)s::bigint AS id"
# From installation to installation by the index, however many walks each has.
_EVERY = f"""
    (SELECT min(b.installation_id) AS id FROM integrations_backfill b WHERE {_UNFINISHED})
    UNION ALL
    SELECT (SELECT min(b.installation_id) FROM integrations_backfill b
            WHERE {_UNFINISHED} AND b.installation_id > installation.id)
    FROM installation WHERE installation.id IS NOT NULL
"""  # noqa: S608  put together of constants
# Locked in the order of starts, and never waited for: what somebody changes just now is told of the next time.
_TELL = """
WITH RECURSIVE installation AS ({installations}), turn AS (
    SELECT due.id FROM installation
    CROSS JOIN LATERAL (
        SELECT count(*) AS taken FROM integrations_backfill b
        WHERE b.installation_id = installation.id AND {has_a_place}
    ) places
    CROSS JOIN LATERAL (
        (SELECT b.id FROM integrations_backfill b
         WHERE b.installation_id = installation.id AND {has_a_place} AND {is_due})
        UNION ALL
        (SELECT b.id FROM integrations_backfill b
         WHERE b.installation_id = installation.id AND {unfinished} AND b.reason <> 'busy' AND {is_due}
         ORDER BY b.advanced_at NULLS FIRST, b.id LIMIT greatest(0, %(at_once)s - places.taken))
    ) due
    UNION ALL
    (SELECT b.id FROM integrations_backfill b WHERE b.installation_id IS NULL AND {unfinished} AND {is_due} LIMIT 100)
), mine AS (
    SELECT b.id FROM integrations_backfill b WHERE b.id = ANY(ARRAY(SELECT id FROM turn)) AND {is_due}
    ORDER BY b.repository_id, b.stream FOR UPDATE SKIP LOCKED
)
UPDATE integrations_backfill b SET rung_at = statement_timestamp()
WHERE b.id = ANY(ARRAY(SELECT id FROM mine))
RETURNING b.id
"""
_PARTS = {"has_a_place": _HAS_A_PLACE, "unfinished": _UNFINISHED, "is_due": _IS_DUE}
_TELL_ONE, _TELL_EVERY = _TELL.format(installations=_ONE, **_PARTS), _TELL.format(installations=_EVERY, **_PARTS)
_TELL_THE_NEXT = """
UPDATE integrations_backfill b SET rung_at = statement_timestamp(), not_before = statement_timestamp()
WHERE b.id = %(backfill)s AND b.state = 'waiting' AND b.reason = 'busy'
RETURNING b.id
"""


def enqueue_deliveries(installation_id: int | None) -> int:
    """Tell the workers of what is due there and whose turn it is; of every installation, if none is named.

    How many messages the broker took: none, without an error, if it is away. None is told of again within 10 s.
    """
    asked = {"installation": installation_id, "again": ENQUEUE_AGAIN_AFTER_S, "at_once": AT_ONCE}
    statement = _TELL_EVERY if installation_id is None else _TELL_ONE
    with db.limit(seconds=LONGEST_WAIT_S), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ONE_AT_A_TIME])
        cursor.execute(statement, asked)
        told = [row[0] for row in cursor.fetchall()]
    return _send(told)


def wake_next_waiter(subject: str | None) -> int:
    """Tell the workers of the walk that GitHub's budget named as the next, if it is one, and it waits for that."""
    named = _SUBJECT.fullmatch(subject or "")
    if named is None:
        return 0
    with db.limit(seconds=LONGEST_WAIT_S), connection.cursor() as cursor:
        cursor.execute(_TELL_THE_NEXT, {"backfill": int(named[1])})
        told = [row[0] for row in cursor.fetchall()]
    return _send(told)


def subject_of(backfill_id: int) -> str:
    """Under which name a walk waits for its turn at GitHub."""
    return f"backfill {backfill_id}"


def _send(backfill_ids: Sequence[int]) -> int:
    if not backfill_ids:
        return 0
    return wakeups.send(
        partial(current_app.send_task, ADVANCE_TASK, args=[backfill_id], retry=False, ignore_result=True)
        for backfill_id in backfill_ids
    )

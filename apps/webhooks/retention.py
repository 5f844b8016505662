"""Bodies expire, rows stay: the bytes are most of the database, and a delivery that took effect needs them no more.

A day of bodies is dropped whole: that costs the same for a thousand and for a million. The bodies that somebody may
still need are moved aside first, in batches, and those that became needed meanwhile in the transaction that drops the
day. That transaction has the table of bodies for itself. A delivery that took effect becomes due again only in a
statement that also reads or writes bodies (a replay, or the same key posted again), and such a statement has either
committed before, so that its body is moved, or waits, and then sees that the body has expired.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from apps.webhooks import partitions

logger = logging.getLogger(__name__)

BATCH = 500
MOST_FOUND = 100 * BATCH
MOST_BYTES = 32 * 1024 * 1024
LONGEST_RUN_S = 30.0  # the next run goes on

# An index has exactly the deliveries without effect (delivery_without_effect): how many took effect does not matter.
# After a long outage they are many, so one search finds as many as fill a hundred batches.
_FIND_NEEDED = """
WITH without_effect AS MATERIALIZED (
    SELECT id, size FROM webhooks_delivery
    WHERE NOT state IN ('processed', 'ignored') AND received_at >= %(from)s AND received_at < %(to)s
)
SELECT id, size FROM without_effect JOIN webhooks_deliverybody ON delivery_id = id AND day = %(day)s
ORDER BY id LIMIT %(most)s
"""
_SAVE = "UPDATE webhooks_deliverybody SET day = '9999-12-31' WHERE day = %s AND delivery_id = ANY(%s::bigint[])"

# A run reads these tables once, in slices that begin where the last one ended: rows that are deleted, or that stay,
# are not read again. A replay that was first is skipped; one that comes later waits, and finds no body.
_DELETE_SLICE = """
WITH slice AS MATERIALIZED (
    SELECT day, delivery_id FROM {table}
    WHERE (day, delivery_id) > (%(day)s, %(id)s) ORDER BY day, delivery_id LIMIT %(batch)s
), expired AS MATERIALIZED (
    SELECT id, day FROM slice JOIN webhooks_delivery ON id = delivery_id
    WHERE received_at < %(before)s AND state IN ('processed', 'ignored')
    FOR UPDATE OF webhooks_delivery SKIP LOCKED
), deleted AS (
    DELETE FROM {table} body USING expired WHERE body.day = expired.day AND body.delivery_id = expired.id RETURNING 1
)
SELECT (SELECT count(*) FROM deleted), last.day, last.delivery_id,
       EXISTS (SELECT FROM slice JOIN webhooks_delivery ON id = delivery_id WHERE received_at < %(before)s)
FROM (SELECT day, delivery_id FROM slice ORDER BY day DESC, delivery_id DESC LIMIT 1) last
"""

# Of the rows that outlive their day only the first thousand are looked at: this runs with every scrape.
_OLDEST_ROW_DUE_AT = """
SELECT min(greatest(received_at + make_interval(days => %(days)s), finished_at)) FROM (
    (SELECT delivery_id FROM webhooks_deliverybody_kept ORDER BY day, delivery_id LIMIT 1000)
    UNION ALL (SELECT delivery_id FROM webhooks_deliverybody_default ORDER BY day, delivery_id LIMIT 1000)
) body JOIN webhooks_delivery ON id = delivery_id WHERE state IN ('processed', 'ignored')
"""


@dataclass(slots=True)
class Expired:
    """The bodies that one run of retention removed or moved."""

    days: list[date] = field(default_factory=list)
    rows: int = 0
    """Bodies that were deleted one by one: those that had outlived their day, or had no partition."""
    saved: int = 0
    """Bodies that were moved aside."""


def prune_bodies() -> Expired:
    """Drop the days that ended more than BODY_RETENTION_DAYS ago, and make partitions for the next days; 0 keeps all.

    Only bodies of deliveries that took effect expire.
    """
    partitions.create_days(today=timezone.now().astimezone(UTC).date())
    expired = Expired()
    if settings.BODY_RETENTION_DAYS <= 0:
        return expired
    before = timezone.now() - _retention()
    ends_s = time.monotonic() + LONGEST_RUN_S
    for day in partitions.find_days():
        if _end_of(day) > before or not _expire_day(day, expired, ends_s=ends_s):
            break
    for table in ("webhooks_deliverybody_kept", "webhooks_deliverybody_default"):
        expired.rows += _delete_expired(table, before=before, ends_s=ends_s)
    if expired != Expired():
        days = [day.isoformat() for day in expired.days]
        logger.info("bodies_expired", extra={"days": days, "rows": expired.rows, "saved": expired.saved})
    return expired


def measure_delay_s() -> float:
    """Return for how many seconds the oldest body that ought to be gone has been due to go."""
    if settings.BODY_RETENTION_DAYS <= 0:
        return 0.0
    due_at = [_end_of(day) + _retention() for day in partitions.find_days()[:1]]
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST_ROW_DUE_AT, {"days": settings.BODY_RETENTION_DAYS})
        due_at += [at for (at,) in cursor.fetchall() if at is not None]
    return max([0.0, *((timezone.now() - at).total_seconds() for at in due_at)])


def _expire_day(day: date, expired: Expired, *, ends_s: float) -> bool:
    """Move aside what somebody may need of a day, and drop the rest; False if it is for the next run to finish."""

    def save_the_rest(cursor: CursorWrapper) -> bool:
        batches = list(_find_needed(cursor, day))
        for batch in batches[:1]:
            expired.saved += _save(cursor, day, batch)
        return len(batches) <= 1

    with connection.cursor() as cursor:
        while batches := list(_find_needed(cursor, day)):
            for batch in batches:
                if time.monotonic() >= ends_s:
                    return False
                expired.saved += _save(cursor, day, batch)
    if time.monotonic() >= ends_s or not partitions.drop_day(day, save_needed=save_the_rest):
        return False
    expired.days.append(day)
    return True


def _find_needed(cursor: CursorWrapper, day: date) -> Iterator[list[int]]:
    """Yield batches of the deliveries of a day whose bodies somebody may need, as far as one search finds them."""
    start = _end_of(day) - partitions.ONE_DAY
    cursor.execute(_FIND_NEEDED, {"day": day, "from": start, "to": _end_of(day), "most": MOST_FOUND})
    batch: list[int] = []
    bytes_of_batch = 0
    for delivery_id, size in cursor.fetchall():
        if batch and (len(batch) == BATCH or bytes_of_batch + size > MOST_BYTES):
            yield batch
            batch, bytes_of_batch = [], 0
        batch.append(delivery_id)
        bytes_of_batch += size
    if batch:
        yield batch


def _save(cursor: CursorWrapper, day: date, ids: Sequence[int]) -> int:
    """Move bodies of a day to those that are kept; how many were still there."""
    cursor.execute(_SAVE, [day, list(ids)])
    return int(cursor.rowcount)


def _delete_expired(table: str, *, before: datetime, ends_s: float) -> int:
    """Delete the expired bodies of a table row by row; how many."""
    statement = _DELETE_SLICE.format(table=table)
    place: dict[str, Any] = {"day": date.min, "id": 0}
    deleted = 0
    with connection.cursor() as cursor:
        while time.monotonic() < ends_s:
            cursor.execute(statement, {**place, "before": before, "batch": BATCH})
            row = cursor.fetchone()
            if row is None:
                break
            count, place["day"], place["id"], has_old = row
            deleted += count
            if not has_old:
                break
    return deleted


def _retention() -> timedelta:
    return timedelta(days=settings.BODY_RETENTION_DAYS)


def _end_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + partitions.ONE_DAY

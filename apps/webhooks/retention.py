"""Bodies expire, rows stay: the bytes are most of the database, and a delivery that took effect needs them no more.

A day of bodies is dropped whole: that costs the same for a thousand and for a million. The bodies that somebody may
still need are moved aside first, in batches, and those that became needed meanwhile in the transaction that drops the
day. That transaction has the table of bodies for itself. A delivery that took effect becomes due again only in a
statement that also reads or writes bodies (a replay, or the same key posted again), and such a statement has either
committed before, so that its body is moved, or waits, and then sees that the body has expired.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone
from psycopg import errors as postgres
from psycopg import sql

from apps.common.db import unclaimed

DAYS_AHEAD = 7
MOST_TRIES = 10
PAUSE_S = 0.5
ONE_DAY = timedelta(days=1)

_DAYS = """
SELECT right(relname, 8) FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = 'webhooks_deliverybody'::regclass AND relname ~ '_[0-9]{8}$' ORDER BY 1
"""
_HAS_ROWS_ELSEWHERE = "SELECT EXISTS (SELECT FROM webhooks_deliverybody_default WHERE day = %s)"
# A table that is made apart and then attached does not hold up inserts; only `_default` is locked, for an instant.
_CREATE = "CREATE TABLE {} (LIKE webhooks_deliverybody INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING COMPRESSION)"
_ATTACH = "ALTER TABLE webhooks_deliverybody ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})"
_LOCK = "LOCK TABLE ONLY webhooks_deliverybody IN ACCESS EXCLUSIVE MODE"


def find_days() -> list[date]:
    """Return the days that have a partition, the oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_DAYS)
        return [datetime.strptime(name, "%Y%m%d").date() for (name,) in cursor.fetchall()]  # noqa: DTZ007  a day only


def create_days(*, today: date) -> list[date]:
    """Make the missing partitions for today and the days ahead; return their days.

    A day whose bodies already lie in `_default` gets no partition: those bodies expire one by one.
    """
    wanted = {today + ahead * ONE_DAY for ahead in range(DAYS_AHEAD + 1)} - set(find_days())
    return [day for day in sorted(wanted) if _create_day(day)]


def drop_day(day: date, *, save_needed: Callable[[CursorWrapper], bool]) -> bool:
    """Drop a day with all its bodies, while nobody else can read or write any body; False if that was not possible.

    `save_needed` runs in the same transaction, under the lock, and says whether the rest may be dropped.
    """

    def drop(cursor: CursorWrapper) -> bool:
        cursor.execute(_LOCK)
        if not save_needed(cursor):
            return False
        cursor.execute(sql.SQL("DROP TABLE {}").format(_name(day)))
        return True

    return _with_short_wait(drop)


def _create_day(day: date) -> bool:
    try:
        return _with_short_wait(partial(_create, day=day))
    except IntegrityError:  # a body of that day came into `_default` after _create had looked there
        return False


def _create(cursor: CursorWrapper, *, day: date) -> bool:
    cursor.execute(_HAS_ROWS_ELSEWHERE, [day])
    if cursor.fetchone() == (True,):
        return False
    cursor.execute(sql.SQL(_CREATE).format(_name(day)))
    cursor.execute(sql.SQL(_ATTACH).format(_name(day), sql.Literal(day), sql.Literal(day + ONE_DAY)))
    return True


def _with_short_wait(change: Callable[[CursorWrapper], bool]) -> bool:
    """Run a change in one transaction, several times until its locks are free; False if they never were."""
    for number in range(MOST_TRIES):
        if number:
            time.sleep(PAUSE_S)
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '100ms'")
                return change(cursor)
        except OperationalError as error:
            if not isinstance(error.__cause__, postgres.LockNotAvailable):
                raise
    return False


def _name(day: date) -> sql.Identifier:
    return sql.Identifier(f"webhooks_deliverybody_{day:%Y%m%d}")


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
    {unclaimed}
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
    create_days(today=timezone.now().astimezone(UTC).date())
    expired = Expired()
    if settings.BODY_RETENTION_DAYS <= 0:
        return expired
    before = timezone.now() - _retention()
    ends_s = time.monotonic() + LONGEST_RUN_S
    for day in find_days():
        if _end_of(day) > before or not _expire_day(day, expired, ends_s=ends_s):
            break
    for table in ("webhooks_deliverybody_kept", "webhooks_deliverybody_default"):
        expired.rows += _delete_expired(table, before=before, ends_s=ends_s)
    if expired != Expired():
        days = [day.isoformat() for day in expired.days]
        logger.info("bodies_expired", extra={"days": days, "rows": expired.rows, "saved": expired.saved})
    return expired


def measure_delay_s() -> float:
    """Return for how many seconds the oldest expired body has been due for deletion."""
    if settings.BODY_RETENTION_DAYS <= 0:
        return 0.0
    due_at = [_end_of(day) + _retention() for day in find_days()[:1]]
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST_ROW_DUE_AT, {"days": settings.BODY_RETENTION_DAYS})
        due_at += [at for (at,) in cursor.fetchall() if at is not None]
    return max([0.0, *((timezone.now() - at).total_seconds() for at in due_at)])


def _expire_day(day: date, expired: Expired, *, ends_s: float) -> bool:
    """Move bodies that may be needed out of a day and drop it; False if the next run has to finish."""

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
    if time.monotonic() >= ends_s or not drop_day(day, save_needed=save_the_rest):
        return False
    expired.days.append(day)
    return True


def _find_needed(cursor: CursorWrapper, day: date) -> Iterator[list[int]]:
    """Yield batches of the deliveries of a day whose bodies somebody may need, as far as one search finds them."""
    start = _end_of(day) - ONE_DAY
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
    """Move bodies of a day to `_kept`; return how many were still there."""
    cursor.execute(_SAVE, [day, list(ids)])
    return int(cursor.rowcount)


def _delete_expired(table: str, *, before: datetime, ends_s: float) -> int:
    """Delete the expired bodies of a table row by row; return how many."""
    statement = _DELETE_SLICE.format(table=table, unclaimed=unclaimed("webhooks_delivery"))
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
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + ONE_DAY

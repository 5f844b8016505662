"""The partitions of the table of bodies: one for each day, made ahead of time, dropped once the day has expired.

Two more stay for ever: `_kept` has the bodies that outlive their day, `_default` those whose day had no partition when
they came, so that an insert never fails. A statement that locks the whole table waits 0.1 s for its lock and tries
again later, because every delivery that comes after it waits behind it.
"""

import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import partial

from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg import errors as postgres
from psycopg import sql

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

"""Database helpers: prepared statements, deadlines, and the classification of errors."""

import json
import os
import re
import socket
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import psycopg
from django.db import DEFAULT_DB_ALIAS, Error, InterfaceError, OperationalError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models import Model, QuerySet
from psycopg import Error as PsycopgError
from psycopg.pq import Format

Row = TypeVar("Row", bound=Model)
TIME_LOADER: Any = psycopg.adapters.get_loader(psycopg.adapters.types["timestamptz"].oid, Format.TEXT)
"""The driver's own, which is not of Python."""


class PreparedCursor(psycopg.Cursor[tuple[Any, ...]]):
    """A cursor that sends parameters apart from the statement, which the server plans once per connection.

    Django's own writes them into the text, so that each one is new to the server. It loads every time twice, in Python,
    to give it the zone that it has already: that of the connection, which Django has set.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        super().__init__(connection)
        self.adapters.register_loader("timestamptz", TIME_LOADER)

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        return super().execute(query, params, **{"prepare": True, **options})


def run(statement: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
    """Return the rows of a statement, run in the current transaction if there is one; errors are Django's."""
    with _executed(statement, parameters) as cursor:
        return cursor.fetchall() if cursor.description else []


def run_with_names(statement: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[dict[str, Any]]:
    """Return the rows of a statement with the names of their columns."""
    with _executed(statement, parameters) as cursor:
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


Statement = tuple[str, Sequence[Any] | Mapping[str, Any]]
"""A statement with its parameters, as `QuerySet.query.sql_with_params()` returns it too."""
PLACEHOLDER = re.compile(r"(?<!%)%(?:\((\w+)\))?s")


def run_each(asked: Iterable[Statement]) -> list[list[tuple[Any, ...]]]:
    """Return the rows of each statement, run one after the other."""
    return [run(*one) for one in asked]


def run_as_one(asked: Iterable[Statement]) -> list[list[tuple[Any, ...]]]:
    """Return the rows of each statement, read by a single one: for few rows, where the way to the server counts.

    Each becomes an array of its rows, whose types only the binary format has.
    """
    parts, parameters = list[str](), dict[str, Any]()
    for place, (statement, own) in enumerate(asked):
        names = iter(range(len(own)))
        text = PLACEHOLDER.sub(lambda found: f"%(p{place}_{found[1] or next(names)})s", statement)  # noqa: B023
        parts.append(f"ARRAY(SELECT one FROM (\n{text}\n) AS one)")  # noqa: S608  statements of our own
        parameters |= {f"p{place}_{name}": value for name, value in _named(own)}
    with _executed(f"SELECT {', '.join(parts)}", parameters, is_binary=True) as cursor:
        return list(cursor.fetchone() or ())


def _named(parameters: Sequence[Any] | Mapping[str, Any]) -> Iterable[tuple[Any, Any]]:
    return parameters.items() if isinstance(parameters, Mapping) else enumerate(parameters)


@contextmanager
def _executed(
    statement: str, parameters: Sequence[Any] | Mapping[str, Any], *, is_binary: bool = False
) -> Iterator[CursorWrapper]:
    connection.close_if_health_check_failed()  # as Django's own cursors do, outside a transaction
    connection.ensure_connection()
    wrap = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    own = PreparedCursor(connection.connection)
    own.format = Format.BINARY if is_binary else Format.TEXT
    with wrap(own) as cursor:  # type: ignore[arg-type]  # any cursor of the driver
        cursor.execute(statement, parameters)
        yield cursor


def as_json(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the rows as one parameter, which json_to_recordset turns into typed columns, arrays included."""
    return json.dumps(list(rows), default=datetime.isoformat, ensure_ascii=False)


def typed_columns(model: type[Model], names: Sequence[str]) -> str:
    """Return the column list of json_to_recordset, typed as the table is."""
    types = {field.column: field.db_type(connection) for field in model._meta.concrete_fields}
    return ", ".join(f"{quoted(name)} {types[name]}" for name in names)


def listed(names: Sequence[str], *, of: str = "") -> str:
    """Return the columns, separated by commas; `of` is the name of a table with its full stop."""
    return ", ".join(f"{of}{quoted(name)}" for name in names)


def matches(names: Sequence[str], left: str, right: str) -> str:
    """Return the condition that two tables agree in all of the columns."""
    return " AND ".join(f"{left}.{quoted(name)} = {right}.{quoted(name)}" for name in names)


def quoted(name: str) -> str:
    """Return the name of a column or a table as SQL writes it."""
    return connection.ops.quote_name(name)


def unclaimed(of: str) -> str:
    """Return the end of a SELECT that locks the rows of a table, and leaves out those that others work on."""
    return f"FOR UPDATE OF {of} SKIP LOCKED"


def lock_unclaimed(rows: QuerySet[Row]) -> QuerySet[Row]:
    """Return the rows, locked until the transaction ends; those that others work on are left out."""
    return rows.select_for_update(skip_locked=True, of=("self",))


LARGEST_ID = 2**63 - 1
LONGEST_ID = len(str(LARGEST_ID))  # Python refuses to read a number of thousands of digits


def is_id(text: str) -> bool:
    """Return whether the text is a number that a column of ids can hold."""
    return len(text) <= LONGEST_ID and text.isascii() and text.isdigit() and int(text) <= LARGEST_ID


LOOK_EVERY_S = 0.1


class DatabaseTimeoutError(OperationalError):
    """The database took longer than the caller's timeout."""


@dataclass(slots=True)
class Deadline:
    """The deadline of a thread; once `is_cut`, the next error is because of it."""

    deadline_s: float  # of time.monotonic
    wrapper: BaseDatabaseWrapper
    is_cut: bool = False


class DeadlineThread:
    """A thread per process that closes connections whose deadline has passed."""

    def __init__(self) -> None:
        self._watched: dict[int, Deadline] = {}
        self._busy = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def limit(self, *, seconds: float) -> Iterator[Deadline]:
        """Close this thread's default connection at the deadline, which raises DatabaseTimeoutError."""
        if self._thread is None:
            self._start()
        watched = Deadline(deadline_s=time.monotonic() + seconds, wrapper=connections[DEFAULT_DB_ALIAS])
        self._watched[id(watched)] = watched
        if not self._busy.is_set():
            self._busy.set()
        try:
            yield watched
        except Error as error:
            if watched.is_cut:
                watched.wrapper.close()
                raise DatabaseTimeoutError(f"The database did not answer within {seconds} s.") from error
            raise
        finally:
            del self._watched[id(watched)]

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="database-watchdog", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._busy.wait()
            time.sleep(LOOK_EVERY_S)
            now = time.monotonic()
            for watched in list(self._watched.values()):
                if now >= watched.deadline_s:
                    watched.is_cut = True
                    _cut(watched.wrapper)
            self._busy.clear()
            if self._watched:  # after the clear: who registers in between is seen
                self._busy.set()


def _cut(wrapper: BaseDatabaseWrapper) -> None:
    established = wrapper.connection
    if established is None:
        return  # connecting is bounded by connect_timeout
    try:
        with socket.socket(fileno=os.dup(established.fileno())) as ours:
            ours.shutdown(socket.SHUT_RDWR)
    except (OSError, PsycopgError):
        return  # it is closed already, which is what we want


_deadlines = DeadlineThread()


def limit(*, seconds: float) -> AbstractContextManager[Deadline]:
    """Limit how long this thread waits for the database inside the block."""
    return _deadlines.limit(seconds=seconds)


def _reset_after_fork() -> None:
    global _deadlines  # noqa: PLW0603  threads do not survive a fork
    _deadlines = DeadlineThread()


os.register_at_fork(after_in_child=_reset_after_fork)

READ_ONLY, DISK_FULL, OUT_OF_MEMORY, QUERY_CANCELED = "25006", "53100", "53200", "57014"
LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED = "55P03", "40P01"
# Connection, resources, operator, system.
_CLASSES_OF_THE_SERVER = ("08", "53", "57", "58")

# Classes whose main line names constraints, columns and causes. Others quote what they refuse: `syntax for type: "…"`.
_WITHOUT_VALUES = ("08", "23", "25", "40", "53", "54", "55", "57", "58")


def is_of_database(error: BaseException) -> bool:
    """Return whether this is a database error of Django or of the driver."""
    return isinstance(error, Error | psycopg.Error)


def sqlstate_of(error: BaseException) -> str | None:
    """Return the SQLSTATE; None if there is none or it is not a database error."""
    code: str | None = getattr(error.__cause__, "sqlstate", None)
    return code


def is_database_unavailable(error: BaseException, *, but_for: Collection[str] = ()) -> bool:
    """Return whether any statement would have failed: the database is away, read-only or out of resources.

    `but_for` names codes that the caller rather takes for the fault of what it asked.
    """
    if not isinstance(error, Error):
        return False
    code = sqlstate_of(error)
    if code is None:
        return isinstance(error, OperationalError | InterfaceError)
    return code == READ_ONLY or (code.startswith(_CLASSES_OF_THE_SERVER) and code not in but_for)


def error_message(error: BaseException) -> str:
    """Return the SQLSTATE and the main line if it quotes no value; never details, hints and contexts."""
    reported = error if isinstance(error, psycopg.Error) else error.__cause__
    if not isinstance(reported, psycopg.Error) or not reported.sqlstate:
        return str(error).partition("\n")[0]  # the driver's own words, such as that nobody answers
    if not reported.sqlstate.startswith(_WITHOUT_VALUES):
        return reported.sqlstate
    return f"{reported.sqlstate} {reported.diag.message_primary or ''}".rstrip()

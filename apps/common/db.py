"""Statements that workers run again and again: prepared on the server, for planning one costs more than running it."""

import json
import os
import socket
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, Error, InterfaceError, OperationalError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model
from psycopg import Error as PsycopgError


class PreparedCursor(psycopg.Cursor[tuple[Any, ...]]):
    """A cursor that sends parameters beside the statement, which the server plans once for a connection.

    Django's own writes them into the text, so that each one is new to the server.
    """

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        return super().execute(query, params, **{"prepare": True, **options})


def run(statement: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
    """The rows of a statement, in the transaction at hand if there is one; errors are Django's."""
    connection.close_if_health_check_failed()  # as Django's own cursors do, outside a transaction
    connection.ensure_connection()
    wrap = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    with wrap(PreparedCursor(connection.connection)) as cursor:  # type: ignore[arg-type]  # any cursor of the driver
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def as_json(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the rows as one parameter, which json_to_recordset turns into typed columns, arrays included."""
    return json.dumps(list(rows), default=_as_text, ensure_ascii=False)


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"A {type(value).__name__} has no place in a row.")


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


LARGEST_ID = 2**63 - 1
LONGEST_ID = len(str(LARGEST_ID))  # Python refuses to read a number of thousands of digits


def is_id(text: str) -> bool:
    """Return whether the text is a number that a column of ids can hold."""
    return len(text) <= LONGEST_ID and text.isascii() and text.isdigit() and int(text) <= LARGEST_ID


LOOK_EVERY_S = 0.1


class DatabaseTimeoutError(OperationalError):
    """The database took longer than somebody was ready to wait."""


@dataclass(slots=True)
class Deadline:
    """One thread's wait; once `is_cut`, whatever fails next fails because of that."""

    deadline_s: float  # of time.monotonic
    wrapper: BaseDatabaseWrapper
    is_cut: bool = False


class Watchdog:
    """One thread per process that cuts the connections of those who have waited too long."""

    def __init__(self) -> None:
        self._watched: dict[int, Deadline] = {}
        self._busy = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def limit(self, *, seconds: float) -> Iterator[Deadline]:
        """Cut this thread's default connection once the time is over, which raises DatabaseTimeoutError."""
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
                self._thread = threading.Thread(target=self._look_for_ever, name="database-watchdog", daemon=True)
                self._thread.start()

    def _look_for_ever(self) -> None:
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


_watchdog = Watchdog()


def limit(*, seconds: float) -> AbstractContextManager[Deadline]:
    """Bound how long this thread waits for its default database connection inside the block."""
    return _watchdog.limit(seconds=seconds)


def _forget_the_parents_thread() -> None:
    global _watchdog  # noqa: PLW0603  threads do not survive a fork
    _watchdog = Watchdog()


os.register_at_fork(after_in_child=_forget_the_parents_thread)

READ_ONLY, DISK_FULL, OUT_OF_MEMORY, QUERY_CANCELED = "25006", "53100", "53200", "57014"
LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED = "55P03", "40P01"
# Connection, resources, operator, system.
_CLASSES_OF_THE_SERVER = ("08", "53", "57", "58")

# Classes whose main line names constraints, columns and causes. Others quote what they refuse: `syntax for type: "…"`.
_WITHOUT_VALUES = ("08", "23", "25", "40", "53", "54", "55", "57", "58")


def is_of_database(error: BaseException) -> bool:
    """Whether this is an error of Django's or of the driver's."""
    return isinstance(error, Error | psycopg.Error)


def sqlstate_of(error: BaseException) -> str | None:
    """What the server called it; None if it said nothing, or if this is no error of a database."""
    code: str | None = getattr(error.__cause__, "sqlstate", None)
    return code


def is_database_unavailable(error: BaseException, *, but_for: Collection[str] = ()) -> bool:
    """Whether any statement would have met this: the database is away, read-only or out of something.

    `but_for` names codes that the caller rather takes for the fault of what it asked.
    """
    if not isinstance(error, Error):
        return False
    code = sqlstate_of(error)
    if code is None:
        return isinstance(error, OperationalError | InterfaceError)
    return code == READ_ONLY or (code.startswith(_CLASSES_OF_THE_SERVER) and code not in but_for)


def error_message(error: BaseException) -> str:
    """The server's code and, where it quotes no value, its main line; never details, hints and contexts."""
    told = error if isinstance(error, psycopg.Error) else error.__cause__
    if not isinstance(told, psycopg.Error) or not told.sqlstate:
        return str(error).partition("\n")[0]  # the driver's own words, such as that nobody answers
    if not told.sqlstate.startswith(_WITHOUT_VALUES):
        return told.sqlstate
    return f"{told.sqlstate} {told.diag.message_primary or ''}".rstrip()

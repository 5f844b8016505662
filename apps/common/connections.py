"""Database connections: poolers that do not keep the state of a session, and the health of workers' connections.

tformance needs two things that some poolers take away. The timeouts of a session (statement_timeout and the like),
which are set as it begins: without them one slow statement holds a web thread forever. And that a prepared statement
stays with the connection that prepared it: otherwise a statement fails, or another connection's runs in its place.

A worker keeps its connection from task to task (`db_reuse_max` in tformance/celery_settings.py): without that Celery
closes it around every task, and opening a new one costs the server more than the task.
"""

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import psycopg
from celery.signals import task_prerun
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, Error, OperationalError, close_old_connections, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from apps.common import db
from apps.common.db import error_message, is_database_unavailable

LONGEST_S = 10.0
LONGEST_CHECK_S = 3.0
ROUNDS = 4
WHAT_TO_DO = (
    "Point DATABASE_URL at PostgreSQL itself, or at a pooler in session mode that passes `options` on "
    "(docs/operations.md, Poolers)."
)
_ASKED = re.compile(r"(?:-c ?|--)(\w+[_-]timeout)=(\w+)")
_REFUSED = re.compile(r"startup parameter", re.IGNORECASE)


class BoundsError(OperationalError):
    """A session does not have the timeouts that it requested."""


def refuse_unfit_pooler() -> None:
    """Raise ImproperlyConfigured if sessions do not work as web needs; a database that is away is ignored."""
    if fault := find_fault():
        raise ImproperlyConfigured(f"{fault} {WHAT_TO_DO}")


def find_fault() -> str:
    """Return the fault of a pooler; empty if there is none or the database does not answer."""
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:  # a thread has a connection of its own
        threads = (first, second)
        try:
            for thread in threads:
                thread.submit(_open).result()
            return _find_mixed_statements(threads)
        except BoundsError as error:
            return str(error)
        except Error as error:
            if is_refusal(error):
                return f"The server at DATABASE_URL refuses how a session begins ({error_message(error)})."
            if is_database_unavailable(error):
                return ""  # it is down: every process finds out by itself, and tries again
            return f"A prepared statement does not stay with its connection ({error_message(error)})."
        finally:
            for thread in threads:
                thread.submit(lambda: connection.close()).result()  # noqa: PLW0108  of that thread, not of this one


def is_refusal(error: Error) -> bool:
    """Return whether a pooler rejects the startup parameters of our sessions."""
    return _REFUSED.search(str(error)) is not None or isinstance(error, BoundsError)


def _find_mixed_statements(threads: "tuple[ThreadPoolExecutor, ThreadPoolExecutor]") -> str:
    """Run transactions on two connections that a pooler may swap at the server."""
    for number in range(ROUNDS):
        for name, thread in zip(("first", "second"), threads, strict=True):
            if (found := thread.submit(_begin, name, number).result()) != (name, number):
                return f"A connection got the answer to another's statement ({found!r} for {(name, number)!r})."
        for thread in threads if number % 2 else reversed(threads):
            thread.submit(_commit).result()
    return ""


def _open() -> None:
    connection.settings_dict = {**connection.settings_dict, **settings.WEB_DATABASE}
    with db.limit(seconds=LONGEST_S):
        connection.ensure_connection()


def _begin(name: str, number: int) -> tuple[Any, ...]:
    """Begin a transaction and run a statement of this connection's own, prepared under a name that both use."""
    with db.limit(seconds=LONGEST_S), connection.wrap_database_errors, psycopg.Cursor(_driver()) as cursor:
        cursor.execute("BEGIN")
        statement = f"SELECT '{name}', %s::int".encode()
        return tuple(cursor.execute(statement, (number,), prepare=True).fetchone() or ())


def _commit() -> None:
    with db.limit(seconds=LONGEST_S), connection.wrap_database_errors:
        _driver().execute("COMMIT")


def _driver() -> "psycopg.Connection[Any]":
    made: psycopg.Connection[Any] | None = connection.connection
    assert made is not None  # noqa: S101  for the type checker: _open made it
    return made


def check_bounds(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Close a new connection and raise if its timeouts are not in force."""
    options = connection.settings_dict["OPTIONS"].get("options", "")
    # PostgreSQL takes the last of several values for one name, and so does this.
    asked = {name.replace("-", "_"): value for name, value in _ASKED.findall(options)}
    if not asked or connection.connection is None:
        return
    intervals = {name: f"{value} ms" if value.isdecimal() else value for name, value in asked.items()}
    columns = ", ".join(
        f"current_setting('{name}')::interval = '{value}'::interval" for name, value in intervals.items()
    )
    (found,) = connection.connection.execute(f"SELECT {columns}").fetchall()
    lost = [name for name, is_in_force in zip(asked, found, strict=True) if not is_in_force]
    if lost:
        connection.close()
        raise BoundsError(f"The bounds that a session asked for are not in force: {', '.join(lost)}.")


connection_created.connect(check_bounds, dispatch_uid="bounds of a session")


@task_prerun.connect(dispatch_uid="look at the connection")
def check_connection(*, task: Any, **_: Any) -> None:
    """Close a connection that is too old, broken or frozen; the task then opens a new one.

    A task that is applied inside a transaction keeps the connection of that transaction.
    """
    if connection.in_atomic_block:
        if task.request.is_eager:
            return
        _abandon_transaction()
    with suppress(DatabaseError), db.limit(seconds=LONGEST_CHECK_S):
        close_old_connections()
        connection.close_if_health_check_failed()


def _abandon_transaction() -> None:
    """Close a connection whose last task was stopped where it entered or left a transaction.

    A soft limit may raise anywhere. Without this the transaction would hold its locks, and each later task of the
    process would run in it and commit nothing.
    """
    connection.in_atomic_block = False  # else close() leaves it to the end of the block, which never comes
    connection.close()
    connection.connection = None

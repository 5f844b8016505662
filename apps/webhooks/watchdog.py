"""A bound on waiting for the database that holds even when the connection is frozen.

A connection frozen behind a proxy is released neither by statement_timeout nor by tcp_user_timeout nor by keepalives: the
peer still acknowledges (https://github.com/psycopg/psycopg/issues/1371). Shutting our own end of the socket down is: the
thread that waits gets an OperationalError at once.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Error as PsycopgError

LOOK_EVERY_S = 0.1


class Watchdog:
    """One thread per process that cuts the connections of those who have waited too long."""

    def __init__(self) -> None:
        self._watched: dict[object, tuple[float, BaseDatabaseWrapper]] = {}
        self._busy = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def limit(self, *, seconds: float) -> Iterator[None]:
        """Inside, the default connection of this thread is cut when the time is over, again and again until we leave."""
        if self._thread is None:
            self._start()
        token = object()
        self._watched[token] = (time.monotonic() + seconds, connections[connection.alias])
        if not self._busy.is_set():
            self._busy.set()
        try:
            yield
        finally:
            del self._watched[token]

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
            for deadline, wrapper in list(self._watched.values()):
                if now >= deadline:
                    _cut(wrapper)
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


def limit(*, seconds: float) -> AbstractContextManager[None]:
    """Bound how long this thread waits for its default database connection inside the block."""
    return _watchdog.limit(seconds=seconds)


def _forget_the_parents_thread() -> None:
    global _watchdog  # noqa: PLW0603  threads do not survive a fork
    _watchdog = Watchdog()


os.register_at_fork(after_in_child=_forget_the_parents_thread)

"""Guard against clients that send their body too slowly and would block a thread of the server.

granian reads a body when the application asks for it, for as long as that takes, and has no limit to set
(https://github.com/emmett-framework/granian/issues/177). It does not say which connection a request came by either.
So the connections of the address that is late are looked at: one that got nothing from us for as long as a body may
take has sent no whole request in all that time, or waits for its next one. Either may be ended. A request that is being
answered is safe: idle connections end after IDLE_S, and no answer takes longer than the rest to begin. The exception is
the answer to a large body, which waits for its place or takes long to be written. If its connection is ended, what was
being written is kept all the same. GitHub has given up by then, and delivers it again when it is asked to.
"""

import contextlib
import logging
import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

_OPEN_FILES = "/proc/self/fd"
_LAST_DATA_SENT = struct.Struct("44xI")  # of Linux' tcp_info: milliseconds since we last sent anything, or accepted it


def end_quiet(*, addresses: set[str], seconds: float) -> int:
    """Close the connections from these addresses that are idle for this long; return how many. None except on Linux."""
    if not os.path.isdir(_OPEN_FILES):
        return 0
    ports = {one.getsockname()[1] for one in _own_sockets() if _listens(one)}
    return sum(_end_if_quiet(one, addresses=addresses, ports=ports, seconds=seconds) for one in _own_sockets())


def _end_if_quiet(connection: socket.socket, *, addresses: set[str], ports: set[int], seconds: float) -> bool:
    """Return whether the socket was accepted on our port; our own connections have another local port."""
    try:
        is_quiet = (
            not _listens(connection)
            and connection.getsockname()[1] in ports
            and connection.getpeername()[0] in addresses
            and _seconds_since_sent(connection) >= seconds
        )
        if is_quiet:
            connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # it has ended meanwhile
        return False
    return is_quiet


def _own_sockets() -> Iterator[socket.socket]:
    """Yield a copy of each open internet socket."""
    for name in os.listdir(_OPEN_FILES):
        try:
            copy = os.dup(int(name))
        except OSError:  # closed meanwhile
            continue
        if not stat.S_ISSOCK(os.fstat(copy).st_mode):
            os.close(copy)
            continue
        with socket.socket(fileno=copy) as found:
            if found.family in (socket.AF_INET, socket.AF_INET6) and found.type == socket.SOCK_STREAM:
                yield found


def _listens(connection: socket.socket) -> bool:
    return bool(connection.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _seconds_since_sent(connection: socket.socket) -> float:
    found: tuple[int] = _LAST_DATA_SENT.unpack(
        connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_SENT.size)
    )
    return found[0] / 1000


LONGEST_BODY_S = 10.0  # GitHub itself gives up after 10 s
IDLE_S = 5  # granian's limit for the next headers; programs.py sets it
LOOK_EVERY_S = 0.5
logger = logging.getLogger(__name__)

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class SlowBodiesCut:
    """The WSGI application with a time limit for request bodies; without a limit except on Linux."""

    def __init__(self, application: Application, *, seconds: float = LONGEST_BODY_S) -> None:
        self._application = application
        self._late = Lateness(seconds=seconds)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ:
            environ["wsgi.input"] = TimedInput(environ["wsgi.input"], address=environ["REMOTE_ADDR"], late=self._late)
        return self._application(environ, start_response)


@dataclass(slots=True, eq=False)
class Reading:
    """A body that is being read."""

    address: str
    started_s: float  # of time.monotonic


class TimedInput:
    """A request body; its reading starts with the first read."""

    def __init__(self, body: Any, *, address: str, late: "Lateness") -> None:
        self._body = body
        self._address = address
        self._late = late
        self._reading: Reading | None = None

    def read(self, size: int = -1) -> bytes:
        """Return so many bytes; fewer at the end or if the connection was closed."""
        with self._timed():
            return bytes(self._body.read() if size < 0 else self._body.read(size))

    def readline(self, size: int = -1) -> bytes:
        """Return a line; granian has no limit for it."""
        with self._timed():
            return bytes(self._body.readline())

    def readlines(self, hint: int = -1) -> list[bytes]:
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def _timed(self) -> contextlib.AbstractContextManager[None]:
        if self._reading is None:
            self._reading = Reading(address=self._address, started_s=time.monotonic())
        return self._late.watching(self._reading)


class Lateness:
    """A thread per process that closes the connections of slow clients."""

    def __init__(self, *, seconds: float) -> None:
        self._seconds = seconds
        self._readings: dict[int, Reading] = {}
        self._busy = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def watching(self, reading: Reading) -> Iterator[None]:
        """Check this reading from time to time inside the block."""
        if self._thread is None:
            self._start()
        self._readings[id(reading)] = reading
        if not self._busy.is_set():
            self._busy.set()
        try:
            yield
        finally:
            del self._readings[id(reading)]

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._look_for_ever, name="slow-bodies", daemon=True)
                self._thread.start()

    def _look_for_ever(self) -> None:
        while True:
            self._busy.wait()
            time.sleep(LOOK_EVERY_S)
            try:
                self._end_the_late()
            except Exception:  # the guard outlives whatever it runs into, such as a lack of file descriptors
                logger.exception("slow_bodies_failed")
            self._busy.clear()
            if self._readings:  # after the clear: who registers in between is seen
                self._busy.set()

    def _end_the_late(self) -> None:
        begun_s = time.monotonic() - self._seconds
        late = {reading.address for reading in list(self._readings.values()) if reading.started_s <= begun_s}
        if late and (ended := end_quiet(addresses=late, seconds=self._seconds)):
            logger.warning("slow_bodies_cut", extra={"addresses": len(late), "connections": ended})

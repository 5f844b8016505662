"""The connections that this process has accepted, found among its open files: the server does not tell of them."""

import os
import socket
import stat
import struct
from collections.abc import Iterator

_OPEN_FILES = "/proc/self/fd"
_LAST_DATA_SENT = struct.Struct("44xI")  # of Linux' tcp_info: milliseconds since we last sent anything, or accepted it


def end_quiet(*, addresses: set[str], seconds: float) -> int:
    """End the connections from these addresses to which nothing was sent for so long; how many. None beside Linux."""
    if not os.path.isdir(_OPEN_FILES):
        return 0
    ports = {one.getsockname()[1] for one in _own_sockets() if _listens(one)}
    return sum(_end_if_quiet(one, addresses=addresses, ports=ports, seconds=seconds) for one in _own_sockets())


def _end_if_quiet(connection: socket.socket, *, addresses: set[str], ports: set[int], seconds: float) -> bool:
    """Ours to a database has a port of its own on this side; those that were accepted have the one we listen on."""
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
    """A copy of each socket for the internet that is open here, one after the other."""
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

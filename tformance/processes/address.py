"""Where the web process listens: PORT, else the port remembered in TFORMANCE_VAR, else 8000, else a free one."""

import http.client
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tformance.embedded.errors import EmbeddedError
from tformance.embedded.home import free_port, is_port_free
from tformance.embedded.private_files import read_private_json, write_private_json
from tformance.embedded.remembered import WEB_FILE
from tformance.embedded.telling import wait_while_alive

USUAL_PORT = 8000
ASK_EVERY_S = 0.2


@contextmanager
def reserved_port(var: Path) -> Iterator[int]:
    """The port to listen on, kept free of other programs until the block ends, and remembered for the next start.

    A start may take minutes, and the web server shares its port with any server of the same user (SO_REUSEPORT):
    without the reservation two checkouts that start at once would both listen there, and take each other's deliveries.
    """
    port = choose_port(var)
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as the web server does; others cannot bind
        holder.bind(("127.0.0.1", port))
        yield port


def choose_port(var: Path) -> int:
    """Return PORT, else the port remembered for this folder, else the usual one, else one that is free."""
    given = os.environ.get("PORT", "")
    if given and not (given.isdigit() and 0 < int(given) < 65536):  # noqa: PLR2004  the range of ports
        raise EmbeddedError(f"PORT is {given!r}; it must be a number from 1 to 65535.")
    if given and not is_port_free(int(given)):
        raise EmbeddedError(f"Port {given} is taken by another program. Stop that one, or choose another PORT.")
    wanted = int(given or read_private_json(var / WEB_FILE).get("PORT", USUAL_PORT))
    port = wanted if is_port_free(wanted) else free_port()
    write_private_json(var / WEB_FILE, {"PORT": port})
    return port


def wait_until_ready(port: int, *, is_alive: Callable[[], bool], log: Path) -> bool:
    """Return whether the web process finds itself ready; wait as long as it lives, and say so every few seconds."""
    return wait_while_alive(
        lambda: f"web {ask_readiness(port)[1]}",
        is_ready=lambda: ask_readiness(port)[0] == http.client.OK,
        is_alive=is_alive,
        log=log,
        poll_s=ASK_EVERY_S,
    )


def ask_readiness(port: int) -> tuple[int, str]:
    """The status of the web process' own readiness and what it says of it; 0 when it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        found = json.loads(answer.read())
    except (OSError, ValueError, http.client.HTTPException):
        return 0, "does not answer yet"
    finally:
        connection.close()
    details = ", ".join(f"{name} {word}" for name, word in found.items() if name != "status")
    return answer.status, f"is {found.get('status')} ({details})"

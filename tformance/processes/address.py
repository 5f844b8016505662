"""Where the web process listens: PORT, else the port remembered in TFORMANCE_VAR, else 8000, else a free one."""

import http.client
import os
from pathlib import Path

from tformance.embedded.errors import EmbeddedError
from tformance.embedded.home import free_port, is_port_free
from tformance.embedded.occupants import wait_until
from tformance.embedded.private_files import read_private_json, write_private_json
from tformance.embedded.remembered import WEB_FILE

USUAL_PORT = 8000
START_S = 60


def choose_port(var: Path) -> int:
    """The port to listen on, remembered for the next start and for the command line."""
    given = os.environ.get("PORT", "")
    if given and not (given.isdigit() and 0 < int(given) < 65536):  # noqa: PLR2004  the range of ports
        raise EmbeddedError(f"PORT is {given!r}; it must be a number from 1 to 65535.")
    if given and not is_port_free(int(given)):
        raise EmbeddedError(f"Port {given} is taken by another program. Stop that one, or choose another PORT.")
    wanted = int(given or read_private_json(var / WEB_FILE).get("PORT", USUAL_PORT))
    port = wanted if is_port_free(wanted) else free_port()
    write_private_json(var / WEB_FILE, {"PORT": port})
    return port


def wait_until_ready(port: int) -> bool:
    """Whether the web process answers and finds itself ready within a minute."""
    return wait_until(lambda: ask_readiness(port) == http.client.OK, seconds=START_S)


def ask_readiness(port: int) -> int:
    """The status of the web process' own readiness; 0 when it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()

"""Starting an engine as a process of its own, and not leaving a zombie when it ends."""

import subprocess
from pathlib import Path
from typing import BinaryIO, ClassVar, Protocol

from tformance.embedded.account import Account, identity
from tformance.embedded.telling import wait_while_alive

# Not ours: it holds secrets, and the engines run as a user that is not trusted with them.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

_launched: list[subprocess.Popen[bytes]] = []


def launch(command: list[str], *, log: BinaryIO, folder: Path, account: Account | None) -> subprocess.Popen[bytes]:
    """Start the engine as its user, in its own session: a Ctrl-C in the terminal is for us, who stop it in order."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd=folder,
        start_new_session=True,
        env=ENVIRONMENT,
        **identity(account),
    )
    _launched.append(process)
    return process


class Engine(Protocol):
    """What can be waited for."""

    name: ClassVar[str]

    @property
    def log(self) -> Path: ...
    def is_alive(self) -> bool: ...
    def is_ready(self) -> bool: ...


def becomes_ready(engine: Engine, launched: "subprocess.Popen[bytes] | None" = None) -> bool:
    """Return whether it got ready; wait as long as it lives: recovery after a crash may replay a good deal of WAL."""
    is_alive = (lambda: launched.poll() is None) if launched else engine.is_alive
    return wait_while_alive(
        lambda: f"{engine.name} is still starting", is_ready=engine.is_ready, is_alive=is_alive, log=engine.log
    )


def reap() -> None:
    """Take note of the engines that have ended; those that another process started are its own (or init's) to reap."""
    _launched[:] = [process for process in _launched if process.poll() is None]

"""Starting an engine as a process of its own, and not leaving a zombie when it ends."""

import subprocess
from pathlib import Path
from typing import BinaryIO

from tformance.embedded.account import Account, identity

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


def reap() -> None:
    """Take note of the engines that have ended; those that another process started are its own (or init's) to reap."""
    _launched[:] = [process for process in _launched if process.poll() is None]

"""Which processes live in a data folder: the truth behind PID files, which outlive their processes.

PostgreSQL and Redis both make their data folder their working directory, so a process is one of ours exactly if it
stands there. A PID file alone cannot tell: its number may be reused, or name a zombie that nobody reaps (a container
without an init process).
"""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

POLL_SECONDS = 0.02


def occupants(folder: Path) -> list[psutil.Process]:
    """Every living process whose working directory is the folder."""
    return [process for process in psutil.process_iter() if _stands_in(process, folder=str(folder))]


def _stands_in(process: psutil.Process, *, folder: str) -> bool:
    try:
        return bool(process.cwd() == folder) and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):  # gone meanwhile, a zombie, or another user's: none of them ours
        return False


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Whether the condition came true within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def evict(folder: Path, *, first: signal.Signals, patience: float, leader: int | None = None) -> None:
    """End every occupant: first the signal, to the leader or to all, then SIGKILL for those who stay."""
    for process in occupants(folder):
        if leader is None or process.pid == leader:
            _send(process, first)
    if wait_until(lambda: not occupants(folder), seconds=patience):
        return
    for process in occupants(folder):
        _send(process, signal.SIGKILL)
    wait_until(lambda: not occupants(folder), seconds=10)


def _send(process: psutil.Process, signal_number: signal.Signals) -> None:
    try:
        process.send_signal(signal_number)  # psutil checks the start time: never a stranger with a reused number
    except psutil.NoSuchProcess:
        return

"""Finding every process of a run, whoever its parent is by now: each carries a mark in its environment."""

import os
import signal
from pathlib import Path

import psutil

from tformance.embedded.occupants import wait_until

VARIABLE = "TFORMANCE_RUN"


def mark_of(var: Path, *, run: str) -> str:
    """The mark of one run of one checkout."""
    return f"{var.resolve()}:{run}"


def marked(mark: str) -> list[psutil.Process]:
    """Every living process that carries the mark; never ourselves."""
    return [process for process in psutil.process_iter() if process.pid != os.getpid() and _carries(process, mark=mark)]


def _carries(process: psutil.Process, *, mark: str) -> bool:
    try:
        return bool(process.environ().get(VARIABLE) == mark) and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):  # gone, or another user's
        return False


def clear(mark: str, *, patience: float) -> int:
    """End what a killed run left behind, warm if it can be; returns how many processes that were."""
    left = marked(mark)
    names = {process.pid for process in left}
    for process in left:
        if process.ppid() not in names:  # mains only: a worker tells its children itself
            _send(process, signal.SIGTERM)
    if not wait_until(lambda: not marked(mark), seconds=patience):
        for process in marked(mark):
            _send(process, signal.SIGKILL)
        wait_until(lambda: not marked(mark), seconds=10)
    return len(left)


def _send(process: psutil.Process, signal_number: signal.Signals) -> None:
    try:
        process.send_signal(signal_number)
    except psutil.NoSuchProcess:
        return

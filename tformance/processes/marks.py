"""Finding every process of a run, whoever its parent is by now: each carries a mark in its environment."""

import os
from pathlib import Path

import psutil

from tformance.embedded.occupants import end_now, end_politely

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
    numbers = {process.pid for process in left}
    mains = [process for process in left if _parent_of(process) not in numbers]
    end_politely(mains, patience=patience)  # a worker tells its children itself
    end_politely(marked(mark), patience=patience)
    end_now(marked(mark))
    return len(left)


def _parent_of(process: psutil.Process) -> int:
    try:
        return int(process.ppid())
    except psutil.NoSuchProcess:
        return 0

"""Finding every process of a run, even when its parent has ended: each carries a mark in its environment."""

import os
from collections.abc import Callable
from pathlib import Path

import psutil

from tformance.embedded.occupants import end_now, end_politely

VARIABLE = "TFORMANCE_RUN"


def mark_of(var: Path, *, run: str) -> str:
    """The mark of one run of one checkout."""
    return f"{var.resolve()}:{run}"


def marked(mark: str) -> list[psutil.Process]:
    """Every living process that carries the mark; never ourselves."""
    return [process for process, found, _ in _marked_processes() if found == mark]


def marked_in(var: Path) -> list[tuple[psutil.Process, str, str]]:
    """Every living process of any run of this checkout, with its run and its role ("" for one without)."""
    start = mark_of(var, run="")
    return [(process, mark.removeprefix(start), role) for process, mark, role in _marked_processes(start)]


def _marked_processes(start: str = "") -> list[tuple[psutil.Process, str, str]]:
    """Every living process whose mark begins so, with its mark and its role; never ourselves."""
    others = (process for process in psutil.process_iter() if process.pid != os.getpid())
    found = ((process, _environment_of(process)) for process in others)
    return [
        (process, environment[VARIABLE], environment.get("TFORMANCE_ROLE", ""))
        for process, environment in found
        if VARIABLE in environment and environment[VARIABLE].startswith(start)
    ]


def _environment_of(process: psutil.Process) -> dict[str, str]:
    """Nothing for a process that is gone, a zombie, or another user's."""
    try:
        return {} if process.status() == psutil.STATUS_ZOMBIE else process.environ()
    except (psutil.Error, OSError):
        return {}


def clear(mark: str, *, patience: float) -> int:
    """End what a killed run left behind, warm if it can be; returns how many processes that were."""
    return _end(lambda: marked(mark), patience=patience)


def clear_all(var: Path, *, patience: float) -> int:
    """End the processes of every run of this checkout, warm if it can be; returns how many processes that were."""
    return _end(lambda: [process for process, _, _ in marked_in(var)], patience=patience)


def _end(find: Callable[[], list[psutil.Process]], *, patience: float) -> int:
    left = find()
    numbers = {process.pid for process in left}
    mains = [process for process in left if parent_of(process) not in numbers]
    end_politely(mains, patience=patience)  # a worker tells its children itself
    end_politely(find(), patience=patience)
    end_now(find())
    return len(left)


def parent_of(process: psutil.Process) -> int:
    """The process id of its parent; 0 when it is gone."""
    try:
        return int(process.ppid())
    except psutil.NoSuchProcess:
        return 0

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


def marked_in(var: Path) -> list[tuple[psutil.Process, str]]:
    """Every living process of any run of this checkout that has a role, with the role."""
    start = mark_of(var, run="")
    found = ((process, _environment_of(process)) for process in psutil.process_iter())
    return [
        (process, role)
        for process, environment in found
        if environment.get(VARIABLE, "").startswith(start) and (role := environment.get("TFORMANCE_ROLE"))
    ]


def _carries(process: psutil.Process, *, mark: str) -> bool:
    return _environment_of(process).get(VARIABLE) == mark


def _environment_of(process: psutil.Process) -> dict[str, str]:
    """Nothing for a process that is gone, a zombie, or another user's."""
    try:
        return {} if process.status() == psutil.STATUS_ZOMBIE else process.environ()
    except (psutil.Error, OSError):
        return {}


def clear(mark: str, *, patience: float) -> int:
    """End what a killed run left behind, warm if it can be; returns how many processes that were."""
    left = marked(mark)
    numbers = {process.pid for process in left}
    mains = [process for process in left if parent_of(process) not in numbers]
    end_politely(mains, patience=patience)  # a worker tells its children itself
    end_politely(marked(mark), patience=patience)
    end_now(marked(mark))
    return len(left)


def parent_of(process: psutil.Process) -> int:
    """The process id of its parent; 0 when it is gone."""
    try:
        return int(process.ppid())
    except psutil.NoSuchProcess:
        return 0

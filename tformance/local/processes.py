"""Which processes live in a data folder: the truth behind PID files, which outlive their processes.

PostgreSQL and Redis both make their data folder their working directory, so a process is one of ours exactly if it
stands there. A PID file alone cannot tell: its number may be reused, or name a zombie that nobody reaps (a container
without an init process).
"""

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

POLL_S = 0.02
KILL_S = 10


def processes_in(folder: Path) -> list[psutil.Process]:
    """Every living process whose working directory is the folder."""
    return [process for process in psutil.process_iter() if _works_in(process, folder=str(folder))]


def processes_under(folder: Path) -> list[psutil.Process]:
    """Return every living process whose working directory is the folder or lies in it."""
    return [process for process in psutil.process_iter() if _working_directory(process).is_relative_to(folder)]


def is_process_of(pid: int, folder: Path) -> bool:
    """Whether this process lives in the folder."""
    try:
        return _works_in(psutil.Process(pid), folder=str(folder))
    except psutil.Error:
        return False


def _works_in(process: psutil.Process, *, folder: str) -> bool:
    return str(_working_directory(process)) == folder


def _working_directory(process: psutil.Process) -> Path:
    """Return an empty path for a process that is gone, a zombie, or another user's: it is none of ours."""
    try:
        return Path() if process.status() == psutil.STATUS_ZOMBIE else Path(process.cwd())
    except (psutil.Error, OSError):
        return Path()


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Whether the condition came true within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def end_processes_in(folder: Path, *, first: signal.Signals, patience: float, leader: int | None = None) -> None:
    """End every occupant: first the signal, to the leader or to all, then SIGKILL for those who stay."""
    found = processes_in(folder)
    for process in found:
        if leader is None or process.pid == leader:
            send(process, first)
    _wait_for_end(found, seconds=patience)
    kill_all(processes_in(folder))  # those who stayed, and any that was born meanwhile


def kill_all(processes: Sequence[psutil.Process]) -> None:
    """SIGKILL, and wait for it to take effect."""
    for process in processes:
        send(process, signal.SIGKILL)
    _wait_for_end(processes, seconds=KILL_S)


def terminate_all(processes: Sequence[psutil.Process], *, patience: float) -> None:
    """SIGTERM, and wait for as long as we have patience."""
    for process in processes:
        send(process, signal.SIGTERM)
    _wait_for_end(processes, seconds=patience)


def send(process: psutil.Process, signal_number: signal.Signals) -> None:
    """Signal this very process: psutil compares start times, so never a stranger with a reused number."""
    try:
        process.send_signal(signal_number)
    except psutil.NoSuchProcess:
        return


def _wait_for_end(processes: Sequence[psutil.Process], *, seconds: float) -> None:
    wait_until(lambda: all(_has_ended(process) for process in processes), seconds=seconds)


def _has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


RUN_VARIABLE = "TFORMANCE_RUN"


def tag_of(var: Path, *, run: str) -> str:
    """The tag of one run of one checkout."""
    return f"{var.resolve()}:{run}"


def tagged(tag: str) -> list[psutil.Process]:
    """Every living process that carries the tag; never ourselves."""
    return [process for process, found, _ in _tagged_processes() if found == tag]


def tagged_in(var: Path) -> list[tuple[psutil.Process, str, str]]:
    """Every living process of any run of this checkout, with its run and its role ("" for one without)."""
    start = tag_of(var, run="")
    return [(process, tag.removeprefix(start), role) for process, tag, role in _tagged_processes(start)]


def _tagged_processes(start: str = "") -> list[tuple[psutil.Process, str, str]]:
    """Every living process whose tag begins so, with its tag and its role; never ourselves."""
    others = (process for process in psutil.process_iter() if process.pid != os.getpid())
    found = ((process, _environment_of(process)) for process in others)
    return [
        (process, environment[RUN_VARIABLE], environment.get("TFORMANCE_ROLE", ""))
        for process, environment in found
        if RUN_VARIABLE in environment and environment[RUN_VARIABLE].startswith(start)
    ]


def _environment_of(process: psutil.Process) -> dict[str, str]:
    """Nothing for a process that is gone, a zombie, or another user's."""
    try:
        return {} if process.status() == psutil.STATUS_ZOMBIE else process.environ()
    except (psutil.Error, OSError):
        return {}


def end_tagged(tag: str, *, patience: float) -> int:
    """End what a killed run left behind, warm if it can be; returns how many processes that were."""
    return _end(lambda: tagged(tag), patience=patience)


def end_all_tagged(var: Path, *, patience: float) -> int:
    """End the processes of every run of this checkout, warm if it can be; returns how many processes that were."""
    return _end(lambda: [process for process, _, _ in tagged_in(var)], patience=patience)


def _end(find: Callable[[], list[psutil.Process]], *, patience: float) -> int:
    left = find()
    numbers = {process.pid for process in left}
    mains = [process for process in left if parent_of(process) not in numbers]
    terminate_all(mains, patience=patience)  # a worker tells its children itself
    terminate_all(find(), patience=patience)
    kill_all(find())
    return len(left)


def parent_of(process: psutil.Process) -> int:
    """The process id of its parent; 0 when it is gone."""
    try:
        return int(process.ppid())
    except psutil.NoSuchProcess:
        return 0

"""Processes of this checkout: found by their working directory or by the tag of their run, and ended.

PostgreSQL and Redis both make their data folder their working directory, so a process belongs to it exactly if it works
there. A PID file alone is no proof: its number may be reused, or be that of a zombie that is never reaped (in a
container without an init process). Other processes have the tag of their run in their environment.
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
    """Return the processes whose working directory is the folder."""
    return [process for process in psutil.process_iter() if _works_in(process, folder=str(folder))]


def processes_under(folder: Path) -> list[psutil.Process]:
    """Return the processes whose working directory is the folder or lies in it."""
    return [process for process in psutil.process_iter() if _working_directory(process).is_relative_to(folder)]


def is_process_of(pid: int, folder: Path) -> bool:
    """Return whether the working directory of this process is the folder."""
    try:
        return _works_in(psutil.Process(pid), folder=str(folder))
    except psutil.Error:
        return False


def _works_in(process: psutil.Process, *, folder: str) -> bool:
    return str(_working_directory(process)) == folder


def _working_directory(process: psutil.Process) -> Path:
    """Return the working directory; an empty path for a process that has ended, a zombie, or one of another user."""
    try:
        return Path() if process.status() == psutil.STATUS_ZOMBIE else Path(process.cwd())
    except (psutil.Error, OSError):
        return Path()


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Return whether the condition became true within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def end_processes_in(folder: Path, *, first: signal.Signals, patience: float, leader: int | None = None) -> None:
    """End the processes of the folder: send the signal to the leader or to all, then SIGKILL to those that remain."""
    found = processes_in(folder)
    for process in found:
        if leader is None or process.pid == leader:
            send(process, first)
    _wait_for_end(found, seconds=patience)
    kill_all(processes_in(folder))  # those that remain, and any that was started meanwhile


def kill_all(processes: Sequence[psutil.Process]) -> None:
    """Send SIGKILL, and wait for the end of the processes."""
    for process in processes:
        send(process, signal.SIGKILL)
    _wait_for_end(processes, seconds=KILL_S)


def terminate_all(processes: Sequence[psutil.Process], *, patience: float) -> None:
    """Send SIGTERM, and wait for their end for at most `patience` seconds."""
    for process in processes:
        send(process, signal.SIGTERM)
    _wait_for_end(processes, seconds=patience)


def send(process: psutil.Process, signal_number: signal.Signals) -> None:
    """Send a signal; psutil compares start times, so a process that reuses the number gets none."""
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
    """Return the tag of a run of this checkout."""
    return f"{var.resolve()}:{run}"


def tagged(tag: str) -> list[psutil.Process]:
    """Return the processes with this tag, without this process."""
    return [process for process, found, _ in _tagged_processes() if found == tag]


def tagged_in(var: Path) -> list[tuple[psutil.Process, str, str]]:
    """Return the processes of all runs of this checkout, each with its run and its role ("" for none)."""
    start = tag_of(var, run="")
    return [(process, tag.removeprefix(start), role) for process, tag, role in _tagged_processes(start)]


def _tagged_processes(start: str = "") -> list[tuple[psutil.Process, str, str]]:
    """Return the processes whose tag begins with `start`, each with its tag and its role, without this process."""
    others = (process for process in psutil.process_iter() if process.pid != os.getpid())
    found = ((process, _environment_of(process)) for process in others)
    return [
        (process, environment[RUN_VARIABLE], environment.get("TFORMANCE_ROLE", ""))
        for process, environment in found
        if RUN_VARIABLE in environment and environment[RUN_VARIABLE].startswith(start)
    ]


def _environment_of(process: psutil.Process) -> dict[str, str]:
    """Return the environment; empty for a process that has ended, a zombie, or one of another user."""
    try:
        return {} if process.status() == psutil.STATUS_ZOMBIE else process.environ()
    except (psutil.Error, OSError):
        return {}


def end_tagged(tag: str, *, patience: float) -> int:
    """End the processes with this tag, in order if possible; return how many there were."""
    return _end(lambda: tagged(tag), patience=patience)


def end_all_tagged(var: Path, *, patience: float) -> int:
    """End the processes of all runs of this checkout, in order if possible; return how many there were."""
    return _end(lambda: [process for process, _, _ in tagged_in(var)], patience=patience)


def _end(find: Callable[[], list[psutil.Process]], *, patience: float) -> int:
    left = find()
    numbers = {process.pid for process in left}
    mains = [process for process in left if parent_of(process) not in numbers]
    terminate_all(mains, patience=patience)  # a worker stops its children itself
    terminate_all(find(), patience=patience)
    kill_all(find())
    return len(left)


def parent_of(process: psutil.Process) -> int:
    """Return the process id of its parent; 0 if it has ended."""
    try:
        return int(process.ppid())
    except psutil.NoSuchProcess:
        return 0

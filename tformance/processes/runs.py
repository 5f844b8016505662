"""The runs of a checkout: what `make` started, in whatever terminal, and what a killed run left behind."""

import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from tformance.embedded.engines import Engines
from tformance.embedded.locks import holders
from tformance.embedded.marks import marked_in, parent_of

LOCK_FILE = "run.lock"  # held by the one `make run` of a checkout
TARGETS = {
    "run": "make run",
    "demo": "make demo",
    "worker": "make celery-worker",
    "beat": "make celery-beat",
    "dev": "make celery-dev",
    "with": "a command",
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run: what started it, the processes that look after it, and those that do its work, by role."""

    name: str
    runner: psutil.Process | None  # None when it was killed
    counts: Counter[str]

    def __str__(self) -> str:
        who = f"{self.name} (process {self.runner.pid})" if self.runner else f"what a killed {self.name} left"
        roles = ("web", "worker", "beat", "command")
        programs = ", ".join(_in_words(role, self.counts[role]) for role in roles if self.counts[role])
        return f"{who}: {programs or 'no programs'}"


def find_runners(var: Path) -> list[psutil.Process]:
    """Every process that looks after a run: it holds the lock of the one `make run`, or borrows the engines."""
    found = {process.pid: process for process in (*holders(var / LOCK_FILE), *Engines(var=var).borrowers())}
    return list(found.values())


def find_runs(var: Path) -> list[Run]:
    """Every run of which a process lives, and every runner that has started nothing yet."""
    processes = marked_in(var)
    runners = {runner.pid: runner for runner in find_runners(var)}
    runs = []
    for name in sorted({run for _, run, _ in processes}):
        kind, _, number = name.partition("-")
        runner = runners.pop(int(number), None) if number.isdigit() else _pop_main_runner(runners)
        counts = count_by_role((process, role) for process, run, role in processes if run == name)
        runs.append(Run(name=_name_of(runner) or TARGETS.get(kind, kind), runner=runner, counts=counts))
    rest = [Run(name=_name_of(runner), runner=runner, counts=Counter()) for runner in runners.values()]
    return [*runs, *(run for run in rest if run.name)]


def count_by_role(processes: Iterable[tuple[psutil.Process, str]]) -> Counter[str]:
    """Return how many main processes each role has; a main process is one whose parent has another role."""
    found = [(process, role) for process, role in processes if role]
    roles = {process.pid: role for process, role in found}
    return Counter(role for process, role in found if roles.get(parent_of(process)) != role)


def _pop_main_runner(runners: dict[int, psutil.Process]) -> psutil.Process | None:
    names = {TARGETS["run"], TARGETS["demo"]}
    found = next((pid for pid, runner in runners.items() if _name_of(runner) in names), None)
    return runners.pop(found) if found else None


def _name_of(runner: psutil.Process | None) -> str:
    """Return what a person typed to start it; "" when it has ended."""
    try:
        command = runner.cmdline() if runner else []
    except psutil.Error:
        return ""
    if "tformance.processes" in command:
        return TARGETS.get(command[-1], command[-1])
    return shlex.join(command[command.index("--") + 1 :] if "--" in command else command)


def _in_words(role: str, count: int) -> str:
    return role if count == 1 else f"{count} {role}s"

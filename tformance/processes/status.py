"""`make status`: what of this checkout runs, and where it answers."""

import http.client
from collections.abc import Iterator
from pathlib import Path

from tformance.embedded.marks import marked_in
from tformance.embedded.private_files import read_private_json
from tformance.embedded.remembered import WEB_FILE
from tformance.embedded.reporting import tell_abandoned, tell_engines
from tformance.embedded.telling import say
from tformance.processes.address import ask_readiness
from tformance.processes.runs import count_by_role, find_runs

NOT_RUNNING = 3
"""The exit code of a service manager's status command for what does not run."""


def report_everything(var: Path) -> int:
    """Say of engines, web, workers and beat whether they run; 0 when all do, else 3."""
    lines = [*tell_engines(var), *tell_processes(var)]
    for line, _ in lines:
        say(line)
    for run in find_runs(var):
        say(f"{'run':<11} {run}")
    for note in tell_abandoned():
        say(note)
    return 0 if all(is_running for _, is_running in lines) else NOT_RUNNING


def tell_processes(var: Path) -> Iterator[tuple[str, bool]]:
    """A line for each kind of process, and whether one runs, be it of `make run` or of `make celery-dev`."""
    running = count_by_role((process, role) for process, _, role in marked_in(var))
    yield tell_web(var) if running["web"] else (f"{'web':<11} not running", False)
    for name, role in (("workers", "worker"), ("beat", "beat")):
        count = running[role]
        words = f"{count} running" if role == "worker" and count else "running"
        yield f"{name:<11} {words if count else 'not running'}", bool(count)


def tell_web(var: Path) -> tuple[str, bool]:
    port = read_private_json(var / WEB_FILE).get("PORT")
    status, words = ask_readiness(int(port)) if port else (0, "does not answer yet")
    is_ready = status == http.client.OK
    return f"{'web':<11} {'ready' if is_ready else words}, at http://127.0.0.1:{port}/", is_ready

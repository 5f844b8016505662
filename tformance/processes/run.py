"""`make run` and `make demo`: everything on this machine, in the foreground, until Ctrl-C."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tformance import __version__
from tformance.embedded.engines import Engines
from tformance.embedded.errors import EmbeddedError
from tformance.embedded.locks import try_exclusive
from tformance.embedded.logs import last_lines
from tformance.embedded.occupants import wait_until
from tformance.embedded.private_files import read_private_json, write_private_json
from tformance.embedded.remembered import CHECKOUT, ensure_secrets
from tformance.processes import programs
from tformance.processes.address import choose_port, wait_until_ready
from tformance.processes.foreground import run_in_foreground
from tformance.processes.marks import clear, mark_of
from tformance.processes.programs import STOP_SECONDS, Program
from tformance.processes.supervision import supervised
from tformance.processes.telling import fact, say, step

RUN_FILE = "run.json"
LOCK_FILE = "run.lock"


def run_everything(var: Path, *, with_demo: bool) -> int:
    """Start engines, web, workers and beat; stay until told to stop, or until the supervisor ends."""
    with ExitStack() as stack:
        _be_the_only_one(var, stack=stack)
        with _announced_end(var):
            say(f"tformance {__version__}")
            _prepare(var, stack=stack)
            supervisor = _start(var, stack=stack)
            if with_demo and (code := _manage("demo", var=var)):
                return code
            say("Ctrl-C stops everything.")
            return _watch(supervisor)


def run_some(var: Path, *, name: str, chosen: Sequence[Program]) -> int:
    """Run some programs in the foreground against the engines of this checkout."""
    mark = mark_of(var, run=f"{name}-{os.getpid()}")
    ensure_secrets(var)
    with Engines(var=var).borrowed():
        return run_in_foreground(chosen, var=var, mark=mark)


def stop_everything(var: Path) -> None:
    """Stop a run, wherever it runs, what a killed one left behind, and the engines."""
    runner = read_private_json(var / RUN_FILE).get("pid")
    with ExitStack() as stack:
        if runner and not try_exclusive(var / LOCK_FILE, stack=stack):
            os.kill(int(runner), signal.SIGTERM)
            if not wait_until(lambda: try_exclusive(var / LOCK_FILE, stack=stack), seconds=STOP_SECONDS * 2):
                raise EmbeddedError(f"The run with process id {runner} does not stop. Look at {var / 'log'}.")
        clear(mark_of(var, run="run"), patience=STOP_SECONDS)
        Engines(var=var).stop()


def _be_the_only_one(var: Path, *, stack: ExitStack) -> None:
    if not _is_mine(var, stack=stack):
        running = read_private_json(var / RUN_FILE)
        raise EmbeddedError(
            f"tformance runs already, at http://127.0.0.1:{running.get('port', '?')}/ "
            f"(process {running.get('pid', '?')}). `make stop` stops it."
        )
    _remember(var)


@contextmanager
def _announced_end(var: Path) -> Iterator[None]:
    """Leave word that this run is about to end, before the ending, which takes its time."""
    try:
        yield
    finally:
        _remember(var, is_stopping=True)


def _is_mine(var: Path, *, stack: ExitStack) -> bool:
    """Take the place of the one run of this checkout; a run that is about to end is worth waiting for."""

    def taken() -> bool:
        return try_exclusive(var / LOCK_FILE, stack=stack)

    if taken():
        return True
    if not read_private_json(var / RUN_FILE).get("is_stopping"):
        return False
    say("Waiting for the previous run to end …")
    return wait_until(taken, seconds=STOP_SECONDS * 2)


def _remember(var: Path, **facts: object) -> None:
    write_private_json(var / RUN_FILE, {"pid": os.getpid(), **facts})


def _prepare(var: Path, *, stack: ExitStack) -> None:
    if left := clear(mark_of(var, run="run"), patience=STOP_SECONDS):
        fact("cleaned up", f"{left} processes of a run that was killed")
    ensure_secrets(var)
    (var / "log").mkdir(mode=0o700, exist_ok=True)
    with step("PostgreSQL and Redis"):
        stack.enter_context(Engines(var=var).borrowed())
    with step("database and static files"):
        if code := _manage("prepare", "--verbosity", "0", var=var):
            raise EmbeddedError(f"`manage.py prepare` failed with exit code {code}; its message is above.")


def _start(var: Path, *, stack: ExitStack) -> "subprocess.Popen[bytes]":
    port = choose_port(var)
    os.environ["PORT"] = str(port)  # for everything we start
    _remember(var, port=port)
    everything = (programs.web(port=port, counters=var / "counters" / str(port)), *programs.workers(), programs.beat())
    supervisor = stack.enter_context(supervised(everything, var=var, mark=mark_of(var, run="run")))
    with step("web, workers and beat"):
        _await_web(port, var=var)
    _tell(var, port=port)
    return supervisor


def _manage(*arguments: str, var: Path) -> int:
    environment = os.environ | {"TFORMANCE_VAR": str(var), "TFORMANCE_ROLE": "command"}
    command = [sys.executable, str(CHECKOUT / "manage.py"), *arguments]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, check=False).returncode


def _await_web(port: int, *, var: Path) -> None:
    if not wait_until_ready(port):
        log = var / "log" / "web.log"
        raise EmbeddedError(f"The web process is not ready after a minute. The end of {log}:\n{last_lines(log)}")


def _tell(var: Path, *, port: int) -> None:
    admin = read_private_json(var / "admin.json")
    fact("address", f"http://127.0.0.1:{port}/")
    if admin:
        fact("sign in", f"{admin['username']} / {admin['password']}")
    fact("webhooks", f"http://127.0.0.1:{port}/webhooks/github/")
    fact("kept in", str(var))
    fact("logs", str(var / "log"))


def _watch(supervisor: "subprocess.Popen[bytes]") -> int:
    code = supervisor.wait()
    raise EmbeddedError(f"The supervisor ended by itself (exit code {code}). Everything is stopped; start it again.")

"""`make run` and `make demo`: everything on this machine, in the foreground, until Ctrl-C."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from django.conf import settings

from tformance import __version__
from tformance.embedded.engine_watch import EngineWatch
from tformance.embedded.engines import Engines, needs_postgres, needs_redis
from tformance.embedded.errors import EmbeddedError
from tformance.embedded.locks import try_exclusive
from tformance.embedded.logs import last_lines
from tformance.embedded.marks import VARIABLE, clear, mark_of
from tformance.embedded.occupants import wait_until
from tformance.embedded.private_files import read_private_json, write_private_json
from tformance.embedded.remembered import CHECKOUT, ensure_secrets
from tformance.embedded.telling import fact, say, step
from tformance.processes import programs
from tformance.processes.address import reserved_port, wait_until_ready
from tformance.processes.foreground import run_in_foreground
from tformance.processes.programs import STOP_SECONDS, Program
from tformance.processes.runs import LOCK_FILE
from tformance.processes.supervision import Supervision, supervised
from tformance.settings_files import warnings_of_settings_files

RUN_FILE = "run.json"
LOOK_EVERY_S = 0.2


def run_everything(var: Path, *, with_demo: bool) -> int:
    """Start engines, web, workers and beat; stay until asked to stop, or until the supervisor ends."""
    with ExitStack() as stack:
        _be_the_only_one(var, stack=stack)
        with _announced_end(var):
            _make_what_settings_need(var)
            check_settings()
            say(f"tformance {__version__}")
            _clean_up(var)
            port = stack.enter_context(reserved_port(var))
            watch = _prepare(var, stack=stack)
            supervision = _start(var, port=port, stack=stack, watch=watch)
            if with_demo and (code := _manage("demo", var=var, watch=watch)):
                return code
            say("Ctrl-C stops everything.")
            return _stay(supervision, watch=watch)


def run_some(var: Path, *, name: str, chosen: Sequence[Program]) -> int:
    """Run some programs in the foreground against the engines of this checkout."""
    _make_what_settings_need(var)
    check_settings()
    mark = mark_of(var, run=f"{name}-{os.getpid()}")
    engines = Engines(var=var)
    with engines.borrowed():
        return run_in_foreground(chosen, var=var, mark=mark, watch=EngineWatch(engines))


def check_settings() -> None:
    """Load the settings before anything is started: SettingsError in words, instead of a traceback of each process."""
    for words in warnings_of_settings_files(settings.KNOWN_SETTINGS):
        say(f"warning: {words}", error=True)


def _make_what_settings_need(var: Path) -> None:
    """Generate the secrets and choose where the engines listen, which no settings can do without."""
    ensure_secrets(var)
    if needs_postgres() or needs_redis():
        Engines(var=var).settle()


def _be_the_only_one(var: Path, *, stack: ExitStack) -> None:
    if not _is_mine(var, stack=stack):
        running = read_private_json(var / RUN_FILE)
        port = running.get("port")
        state = f"runs already, at http://127.0.0.1:{port}/" if port else "is starting already"
        raise EmbeddedError(f"tformance {state} (process {running.get('pid', '?')}). `make stop` stops it.")
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


def _clean_up(var: Path) -> None:
    if left := clear(mark_of(var, run="run"), patience=STOP_SECONDS):
        fact("cleaned up", f"{left} processes of a run that was killed")


def _prepare(var: Path, *, stack: ExitStack) -> EngineWatch:
    (var / "log").mkdir(mode=0o700, exist_ok=True)
    engines = Engines(var=var)
    with step("PostgreSQL and Redis", meanwhile="a first start copies them and makes their data folders"):
        stack.enter_context(engines.borrowed())
    watch = EngineWatch(engines)
    with step("database and static files", meanwhile="tables are made or changed, and files are gathered"):
        if code := _manage("prepare", "--verbosity", "0", var=var, watch=watch):
            raise EmbeddedError(f"`manage.py prepare` failed with exit code {code}; its message is above.")
    return watch


def _start(var: Path, *, port: int, stack: ExitStack, watch: EngineWatch) -> Supervision:
    os.environ["PORT"] = str(port)  # for everything we start
    everything = (
        programs.web(port=port, counters=var / "counters" / str(port)),
        *programs.workers(),
        programs.beat_of(var),
    )
    supervision = stack.enter_context(supervised(everything, var=var, mark=mark_of(var, run="run")))
    with step("web, workers and beat"):
        _await_web(port, var=var, supervision=supervision, watch=watch)
    _remember(var, port=port)
    _tell(var, port=port)
    return supervision


def _manage(*arguments: str, var: Path, watch: EngineWatch) -> int:
    """Run a management command while the engines are watched; its exit code."""
    own = {"TFORMANCE_VAR": str(var), "TFORMANCE_ROLE": "command", VARIABLE: mark_of(var, run="run")}
    command = [sys.executable, str(CHECKOUT / "manage.py"), *arguments]
    process = subprocess.Popen(command, cwd=CHECKOUT, env=os.environ | own)
    try:
        while process.poll() is None:
            watch.look()
            time.sleep(LOOK_EVERY_S)
    finally:
        process.kill()
        process.wait()
    return process.returncode


def _await_web(port: int, *, var: Path, supervision: Supervision, watch: EngineWatch) -> None:
    log = var / "log" / "web.log"

    def is_alive() -> bool:
        watch.look()
        return supervision.keeps_up("web")

    if not wait_until_ready(port, is_alive=is_alive, log=log):
        raise EmbeddedError(f"The web process ends again and again. The end of its log, {log}:\n{last_lines(log)}")


def _tell(var: Path, *, port: int) -> None:
    admin = read_private_json(var / "admin.json")
    fact("address", f"http://127.0.0.1:{port}/")
    if admin:
        fact("sign in", f"{admin['username']} / {admin['password']}")
    fact("webhooks", f"http://127.0.0.1:{port}/webhooks/github/")
    fact("kept in", str(var))
    fact("logs", str(var / "log"))


def _stay(supervision: Supervision, *, watch: EngineWatch) -> int:
    while (code := supervision.process.poll()) is None:
        watch.look()
        time.sleep(LOOK_EVERY_S)
    raise EmbeddedError(f"The supervisor ended by itself (exit code {code}). Everything is stopped; start it again.")

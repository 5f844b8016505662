"""`make run` and `make demo`: everything on this machine, in the foreground, until Ctrl-C."""

import http.client
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from django.conf import settings

from tformance import __version__
from tformance.local import programs
from tformance.local.console import EmbeddedError, fact, say, step
from tformance.local.engines import Engines, EngineWatch, needs_postgres, needs_redis
from tformance.local.programs import (
    STOP_SECONDS,
    Program,
    Supervision,
    ask_readiness,
    reserved_port,
    run_in_foreground,
    supervised,
    wait_until_ready,
)
from tformance.local.state import (
    CHECKOUT,
    WEB_FILE,
    EngineState,
    abandoned_folders,
    ensure_secrets,
    holders,
    last_lines,
    read_private_json,
    try_exclusive,
    write_private_json,
)
from tformance.local.stop_processes import (
    RUN_VARIABLE,
    end_all_tagged,
    end_tagged,
    parent_of,
    processes_under,
    tag_of,
    tagged_in,
    terminate_all,
    wait_until,
)
from tformance.settings_files import warnings_of_settings_files

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
    """A run: the command that started it, the process that runs it, and the number of its processes by role."""

    name: str
    runner: psutil.Process | None  # None when it was killed
    counts: Counter[str]

    def __str__(self) -> str:
        who = f"{self.name} (process {self.runner.pid})" if self.runner else f"processes of a killed {self.name}"
        roles = ("web", "worker", "beat", "command")
        programs = ", ".join(_in_words(role, self.counts[role]) for role in roles if self.counts[role])
        return f"{who}: {programs or 'no programs'}"


def find_runners(var: Path) -> list[psutil.Process]:
    """Return the main process of each run: it holds the lock of `make run`, or uses the engines."""
    found = {process.pid: process for process in (*holders(var / LOCK_FILE), *Engines(var=var).users())}
    return list(found.values())


def find_runs(var: Path) -> list[Run]:
    """Return the runs with a process, and those whose main process has started nothing yet."""
    processes = tagged_in(var)
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
    """Return the number of main processes by role; a main process is one whose parent has another role."""
    found = [(process, role) for process, role in processes if role]
    roles = {process.pid: role for process, role in found}
    return Counter(role for process, role in found if roles.get(parent_of(process)) != role)


def _pop_main_runner(runners: dict[int, psutil.Process]) -> psutil.Process | None:
    names = {TARGETS["run"], TARGETS["demo"]}
    found = next((pid for pid, runner in runners.items() if _name_of(runner) in names), None)
    return runners.pop(found) if found else None


def _name_of(runner: psutil.Process | None) -> str:
    """Return the command that started it; "" if it has ended."""
    try:
        command = runner.cmdline() if runner else []
    except psutil.Error:
        return ""
    if "--" in command:  # of `with`
        return shlex.join(command[command.index("--") + 1 :])
    return TARGETS.get(command[-1], command[-1]) if "tformance.local" in command else shlex.join(command)


def _in_words(role: str, count: int) -> str:
    return role if count == 1 else f"{count} {role}s"


RUN_FILE = "run.json"
LOOK_EVERY_S = 0.2


def run_everything(var: Path, *, with_demo: bool) -> int:
    """Start engines, web, workers and beat; run until asked to stop, or until the supervisor ends."""
    with ExitStack() as stack:
        _take_run_lock(var, stack=stack)
        with _marked_as_stopping(var):
            _prepare_settings(var)
            check_settings()
            say(f"tformance {__version__}")
            _end_leftovers(var)
            port = stack.enter_context(reserved_port(var))
            watch = _prepare(var, stack=stack)
            supervision = _start(var, port=port, stack=stack, watch=watch)
            if with_demo and (code := _manage("demo", var=var, watch=watch)):
                return code
            say("Ctrl-C stops everything.")
            return _run_until_stopped(supervision, watch=watch)


def run_some(var: Path, *, name: str, chosen: Sequence[Program]) -> int:
    """Run some programs in the foreground against the engines of this checkout."""
    _prepare_settings(var)
    check_settings()
    tag = tag_of(var, run=f"{name}-{os.getpid()}")
    engines = Engines(var=var)
    with engines.in_use():
        return run_in_foreground(chosen, var=var, tag=tag, watch=EngineWatch(engines))


def run_command(var: Path, program: Sequence[str]) -> int:
    """Run a command while the engines run; return its exit code."""
    command = program[1:] if program[:1] == ["--"] else program
    if not command:
        say("error: no command was given. Usage: python -m tformance.local with -- COMMAND …", error=True)
        return 2
    ensure_secrets(var)
    with Engines(var=var).in_use():
        tag = {RUN_VARIABLE: tag_of(var, run=f"with-{os.getpid()}"), "TFORMANCE_ROLE": "command"}
        child = subprocess.Popen(command, env=os.environ | {"TFORMANCE_VAR": str(var)} | tag)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the child gets it as well
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        return child.wait()


def check_settings() -> None:
    """Load the settings before anything is started: one SettingsError instead of a traceback of each process."""
    for words in warnings_of_settings_files(settings.KNOWN_SETTINGS):
        say(f"warning: {words}", error=True)


def _prepare_settings(var: Path) -> None:
    """Generate the secrets and choose the ports of the engines, which the settings need."""
    ensure_secrets(var)
    if needs_postgres() or needs_redis():
        Engines(var=var).configure()


def _take_run_lock(var: Path, *, stack: ExitStack) -> None:
    if not _wait_for_lock(var, stack=stack):
        running = read_private_json(var / RUN_FILE)
        port = running.get("port")
        state = f"already running at http://127.0.0.1:{port}/" if port else "already starting"
        raise EmbeddedError(f"tformance is {state} (process {running.get('pid', '?')}). Stop it with `make stop`.")
    _write_run_file(var)


@contextmanager
def _marked_as_stopping(var: Path) -> Iterator[None]:
    """Write to the run file that this run is about to end, because stopping takes time."""
    try:
        yield
    finally:
        _write_run_file(var, is_stopping=True)


def _wait_for_lock(var: Path, *, stack: ExitStack) -> bool:
    """Return whether this process got the lock of the one run; wait for a run that is about to end."""

    def taken() -> bool:
        return try_exclusive(var / LOCK_FILE, stack=stack)

    if taken():
        return True
    if not read_private_json(var / RUN_FILE).get("is_stopping"):
        return False
    say("Waiting for the previous run to end …")
    return wait_until(taken, seconds=STOP_SECONDS * 2)


def _write_run_file(var: Path, **facts: object) -> None:
    write_private_json(var / RUN_FILE, {"pid": os.getpid(), **facts})


def _end_leftovers(var: Path) -> None:
    if left := end_tagged(tag_of(var, run="run"), patience=STOP_SECONDS):
        fact("ended", f"{left} processes that a killed run had left")


def _prepare(var: Path, *, stack: ExitStack) -> EngineWatch:
    (var / "log").mkdir(mode=0o700, exist_ok=True)
    engines = Engines(var=var)
    with step("PostgreSQL and Redis", meanwhile="the first start copies the programs and creates the data folders"):
        stack.enter_context(engines.in_use())
    watch = EngineWatch(engines)
    with step("database and static files", meanwhile="creating or changing tables, and collecting static files"):
        if code := _manage("prepare", "--verbosity", "0", var=var, watch=watch):
            raise EmbeddedError(f"`manage.py prepare` failed with exit code {code}; its message is above.")
    return watch


def _start(var: Path, *, port: int, stack: ExitStack, watch: EngineWatch) -> Supervision:
    os.environ["PORT"] = str(port)  # for all child processes
    everything = (
        programs.web(port=port, counters=var / "counters" / str(port)),
        *programs.workers(),
        programs.beat_of(var),
    )
    supervision = stack.enter_context(supervised(everything, var=var, tag=tag_of(var, run="run")))
    with step("web, workers and beat"):
        _await_web(port, var=var, supervision=supervision, watch=watch)
    _write_run_file(var, port=port)
    _print_summary(var, port=port)
    return supervision


def _manage(*arguments: str, var: Path, watch: EngineWatch) -> int:
    """Run a management command while the engines are watched; return its exit code."""
    own = {"TFORMANCE_VAR": str(var), "TFORMANCE_ROLE": "command", RUN_VARIABLE: tag_of(var, run="run")}
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
        raise EmbeddedError(f"The web process ended repeatedly. The end of its log, {log}:\n{last_lines(log)}")


def _print_summary(var: Path, *, port: int) -> None:
    admin = read_private_json(var / "admin.json")
    fact("address", f"http://127.0.0.1:{port}/")
    if admin:
        fact("sign in", f"{admin['username']} / {admin['password']}")
    fact("webhooks", f"http://127.0.0.1:{port}/webhooks/github/")
    fact("data", str(var))
    fact("logs", str(var / "log"))


def _run_until_stopped(supervision: Supervision, *, watch: EngineWatch) -> int:
    while (code := supervision.process.poll()) is None:
        watch.look()
        time.sleep(LOOK_EVERY_S)
    raise EmbeddedError(
        f"The supervisor ended unexpectedly (exit code {code}). Everything is stopped. Start again with `make run`."
    )


def stop_everything(var: Path) -> int:
    """Stop the runs, then what killed runs left, then the engines; return the exit code."""
    engines = Engines(var=var)
    runs, running = find_runs(var), engines.running()
    with ExitStack() as stack:
        terminate_all(find_runners(var), patience=2 * STOP_SECONDS)  # each stops its own programs in order
        try_exclusive(var / LOCK_FILE, stack=stack)  # nothing starts meanwhile
        end_all_tagged(var, patience=STOP_SECONDS)
        if not engines.stop_if_last(patience=1) or find_runs(var):
            left = "\n".join(f"  {run}" for run in find_runs(var))
            raise EmbeddedError(f"Not everything has stopped; the logs are in {var / 'log'}. Still running:\n{left}")
    for run in runs:
        say(f"Stopped {run}.")
    if running:
        say(f"Stopped {' and '.join(running)}.")
    say("Nothing of this checkout is left running." if runs or running else "Nothing was running.")
    return 0


def engine_lines(var: Path) -> Iterator[tuple[str, bool]]:
    """Yield a line for each engine, and whether it answers; an external one is not asked."""
    status = Engines(var=var).status()
    state = EngineState.existing(var)
    ports = (state.postgres_port, state.redis_port) if state else (0, 0)
    answers = (status.postgres, status.redis)
    names = (("PostgreSQL", "DATABASE_URL"), ("Redis", "REDIS_URL"))
    for (name, variable), is_ready, port in zip(names, answers, ports, strict=True):
        if os.environ.get(variable):
            yield f"{name:<11} external: {variable} is set", True
        else:
            yield f"{name:<11} {f'ready on 127.0.0.1:{port}' if is_ready else 'not running'}", is_ready


def abandoned_lines() -> Iterator[str]:
    """Yield a line for each engine folder of a deleted checkout; only one without processes may be deleted."""
    for folder in abandoned_folders():
        found = f"note: {folder} has the data of a checkout that no longer exists"
        if processes := processes_under(folder):
            numbers = " ".join(str(process.pid) for process in processes)
            yield f"{found} and is still in use by process {numbers}"
        else:
            yield f"{found}; delete it if the data is not needed"


NOT_RUNNING = 3
"""The exit code of a service manager's status command for a service that does not run."""


def report_everything(var: Path) -> int:
    """Print whether engines, web, workers and beat run; return 0 if all do, else 3."""
    lines = [*engine_lines(var), *process_lines(var)]
    for line, _ in lines:
        say(line)
    for run in find_runs(var):
        say(f"{'run':<11} {run}")
    for note in abandoned_lines():
        say(note)
    return 0 if all(is_running for _, is_running in lines) else NOT_RUNNING


def process_lines(var: Path) -> Iterator[tuple[str, bool]]:
    """Yield a line for each kind of process, and whether one runs, of any run."""
    running = count_by_role((process, role) for process, _, role in tagged_in(var))
    yield web_line(var) if running["web"] else (f"{'web':<11} not running", False)
    for name, role in (("workers", "worker"), ("beat", "beat")):
        count = running[role]
        words = f"{count} running" if role == "worker" and count else "running"
        yield f"{name:<11} {words if count else 'not running'}", bool(count)


def web_line(var: Path) -> tuple[str, bool]:
    port = read_private_json(var / WEB_FILE).get("PORT")
    status, words = ask_readiness(int(port)) if port else (0, "does not answer yet")
    is_ready = status == http.client.OK
    return f"{'web':<11} {'ready' if is_ready else words}, at http://127.0.0.1:{port}/", is_ready

"""The programs: the command line of each, and their supervision. docker-compose.yml and deploy/ run the same."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tformance.local.console import EmbeddedError, follow_parent, say, wait_while_alive
from tformance.local.engines import EngineWatch
from tformance.local.state import (
    CHECKOUT,
    WEB_FILE,
    free_port,
    is_port_free,
    log_for_append,
    read_private_json,
    take_free_slot,
    write_private,
    write_private_json,
)
from tformance.local.stop_processes import RUN_VARIABLE, end_tagged
from tformance.slow_upload_guard import IDLE_S

STOP_SECONDS = 35  # longer than a worker's soft shutdown (20 s)

# Python runs one thread of a process at a time: a second process uses a second core.
WEB_PROCESSES = max(1, min(os.cpu_count() or 1, 4))

# Threads are cheap, and one that waits for the body of a slow client holds nothing else: there are many, so that such
# clients do not block others. Database connections are opened by the threads that need one, and kept for ten minutes.
WEB_THREADS = 96  # of all web processes together
LARGE_BODY_BYTES = 204 * 1024 * 1024  # of all web processes together: eight bodies of the largest kind
# glibc gives each thread a heap of its own, which keeps what a large body took of it. Two heaps are enough where one
# thread runs at a time, and what is large has pages of its own, which go back to the system with it.
WEB_ALLOCATOR = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(512 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(8 * 1024 * 1024),
}
LONGEST_HEAD = 16 * 1024  # bytes of all headers together; GitHub's fit into 2 kB
MOST_BEATS = 64  # of one checkout at a time


@dataclass(frozen=True, kw_only=True)
class Program:
    """One process: its name, role and command."""

    name: str
    role: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def web(*, port: int, host: str = "127.0.0.1", counters: Path | None = None) -> Program:
    """Return the HTTP server; its processes add up their counters in the folder `counters`, which starts empty."""
    options = {
        "--interface": "wsgi",
        "--http": "1",
        "--host": host,
        "--port": str(port),
        "--workers": str(WEB_PROCESSES),
        "--blocking-threads": str(WEB_THREADS // WEB_PROCESSES),
        "--blocking-threads-idle-timeout": "600",
        "--backlog": "2048",
        "--backpressure": "512",
        "--http1-buffer-size": str(LONGEST_HEAD),
        "--http1-header-read-timeout": str(IDLE_S * 1000),
        "--workers-kill-timeout": "20",
    }
    flags = ("--no-ws", "--respawn-failed-workers")
    pairs = tuple(part for pair in options.items() for part in pair)
    command = (sys.executable, "-m", "granian", *pairs, *flags, "tformance.wsgi:application")
    return Program(name="web", role="web", command=command, environment=WEB_ALLOCATOR | _shared_counters(counters))


def _shared_counters(folder: Path | None) -> dict[str, str]:
    if folder is None or "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        return {}
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    for left in folder.glob("*.db"):  # of an earlier run
        left.unlink()
    return {"PROMETHEUS_MULTIPROC_DIR": str(folder)}


def worker(name: str, *, queues: str, concurrency: int) -> Program:
    """Return a Celery worker for some queues."""
    options = ("--queues", queues, "--concurrency", str(concurrency), "--hostname", f"{name}@%h")
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO")
    return Program(name=name, role="worker", command=(*_celery(), "worker", *options, *quiet))


def beat(schedule: Path | None = None) -> Program:
    """Return Celery's scheduler, with a file of its own for its state: any number of them is safe, one is enough."""
    own = ("--schedule", str(schedule)) if schedule else ()
    command = (*_celery(), "beat", "--loglevel", "INFO", "--pidfile=", *own)
    return Program(name="beat", role="beat", command=command)


def beat_of(var: Path) -> Program:
    """Return a beat of this checkout whose file no other beat writes: two that share one can damage it."""
    number = take_free_slot(var / "beats", count=MOST_BEATS)
    return beat(var / (f"beat-schedule-{number}" if number else "beat-schedule"))


def workers() -> tuple[Program, ...]:
    """Return the workers of one machine: live work never waits behind history."""
    concurrency = max(2, min(os.cpu_count() or 2, 8))
    return (
        worker("worker-live", queues="live,figures", concurrency=concurrency),
        worker("worker-backfill", queues="backfill,maintenance", concurrency=2),
    )


def _celery() -> tuple[str, ...]:
    return (sys.executable, "-m", "celery", "--app", "tformance")


MOST_ENDINGS = 3  # of a program that is starting
UNEXPECTED = re.compile(r"(?:(?P<lost>gave up)|exited): (?P<program>[\w-]+) .*(?:not expected|FATAL)")


@dataclass(frozen=True)
class Supervision:
    """The process of the supervisor, and how often each program ended unexpectedly."""

    process: "subprocess.Popen[bytes]"
    endings: Counter[str] = field(default_factory=Counter)

    def keeps_up(self, program: str) -> bool:
        """Return whether the supervisor runs and the program did not end repeatedly."""
        return self.process.poll() is None and self.endings[program] < MOST_ENDINGS


@contextlib.contextmanager
def supervised(programs: Sequence[Program], *, var: Path, tag: str) -> Iterator[Supervision]:
    """Run the programs under a supervisor inside the block; end all of their processes with it."""
    path = var / "supervisord.conf"
    write_private(path, configuration(programs, var=var))
    errors = log_for_append(var / "log" / "supervisord-errors.log")  # it writes there even after this process has ended
    supervisor = subprocess.Popen(
        [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(path)],
        cwd=CHECKOUT,
        env=os.environ | {RUN_VARIABLE: tag, "TFORMANCE_VAR": str(var)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,  # a Ctrl-C reaches only us; the programs get one SIGTERM, from their supervisor
        preexec_fn=follow_parent,  # noqa: PLW1509  no threads yet
    )
    errors.close()
    supervision = Supervision(supervisor)
    threading.Thread(target=_relay, args=(supervision, var), daemon=True).start()
    try:
        yield supervision
    finally:
        if supervisor.poll() is None:
            supervisor.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            supervisor.wait(timeout=STOP_SECONDS + 10)
        end_tagged(tag, patience=10)
        supervisor.poll()


def _relay(supervision: Supervision, var: Path) -> None:
    """Print each program that ended unexpectedly."""
    assert supervision.process.stdout is not None  # noqa: S101  for the type checker: it is a pipe
    for line in supervision.process.stdout:
        if match := UNEXPECTED.search(line.decode(errors="replace")):
            supervision.endings[match["program"]] += 1
            outcome = "It is not restarted" if match["lost"] else "It is restarted"
            log = var / "log" / f"{match['program']}.log"
            say(f"! {match['program']} ended unexpectedly. {outcome}; its log is {log}", error=True)


def configuration(programs: Sequence[Program], *, var: Path) -> str:
    """Return the content of the supervisor's configuration file."""
    header = {
        "nodaemon": "true",
        "pidfile": var / "supervisord.pid",
        "logfile": var / "log" / "supervisord.log",
        "logfile_maxbytes": "5MB",
        "logfile_backups": 1,
        "loglevel": "info",
        **({"user": "root"} if os.geteuid() == 0 else {}),  # or it warns at every start
    }
    group = {"programs": ",".join(program.name for program in programs)}  # one group stops all at once, not in turn
    sections = [_section("supervisord", header), _section("group:tformance", group)]
    return "\n".join([*sections, *(_section(f"program:{one.name}", _program(one, var=var)) for one in programs)])


def _program(program: Program, *, var: Path) -> dict[str, object]:
    environment = {"TFORMANCE_ROLE": program.role, **program.environment}
    return {
        "command": " ".join(_quoted(part) for part in program.command),
        "directory": str(CHECKOUT).replace("%", "%%"),
        "environment": ",".join(f'{name}="{value.replace("%", "%%")}"' for name, value in environment.items()),
        "stopsignal": "TERM",
        "stopasgroup": "false",  # SIGTERM to a worker's children kills the tasks they run
        "killasgroup": "true",
        "stopwaitsecs": STOP_SECONDS,
        "autorestart": "true",  # also after a clean end: only the supervisor should stop them
        "startsecs": 2,
        "startretries": 30,
        "redirect_stderr": "true",
        "stdout_logfile": str(var / "log" / f"{program.name}.log").replace("%", "%%"),
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": 2,
    }


def _section(name: str, values: Mapping[str, object]) -> str:
    return "\n".join([f"[{name}]", *(f"{key}={value}" for key, value in values.items()), ""])


def _quoted(part: str) -> str:
    text = part.replace("%", "%%")
    return f'"{text}"' if " " in text or ";" in text else text


def run_in_foreground(programs: Sequence[Program], *, var: Path, tag: str, watch: EngineWatch) -> int:
    """Run the programs until one ends or this process is stopped, stop the others, and return the first exit code."""
    running: list[subprocess.Popen[bytes]] = []
    try:
        running += [_start(program, var=var, tag=tag) for program in programs]
        while all(process.poll() is None for process in running):
            watch.look()
            time.sleep(0.2)
        return next((process.returncode for process in running if process.returncode is not None), 0)
    finally:
        _stop(running)
        end_tagged(tag, patience=5)


def _start(program: Program, *, var: Path, tag: str) -> "subprocess.Popen[bytes]":
    environment = {RUN_VARIABLE: tag, "TFORMANCE_VAR": str(var), "TFORMANCE_ROLE": program.role}
    return subprocess.Popen(program.command, cwd=CHECKOUT, env=os.environ | environment, start_new_session=True)


def _stop(running: Sequence["subprocess.Popen[bytes]"]) -> None:
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)  # to the main process only: it lets its children finish
    deadline = time.monotonic() + STOP_SECONDS
    for process in running:
        try:
            process.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


USUAL_PORT = 8000
ASK_EVERY_S = 0.2


@contextmanager
def reserved_port(var: Path) -> Iterator[int]:
    """Yield the port to listen on, reserved until the block ends, and store it for the next start.

    A start may take minutes, and the web server shares its port with any server of the same user (SO_REUSEPORT):
    without the reservation two checkouts that start at once would both listen there, and take each other's deliveries.
    """
    port = choose_port(var)
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as the web server does; others cannot bind
        holder.bind(("127.0.0.1", port))
        yield port


def choose_port(var: Path) -> int:
    """Return PORT, else the port stored for this folder, else the usual one, else one that is free."""
    given = os.environ.get("PORT", "")
    if given and not (given.isdigit() and 0 < int(given) < 65536):  # noqa: PLR2004  the range of ports
        raise EmbeddedError(f"PORT is {given!r}; it must be a number from 1 to 65535.")
    if given and not is_port_free(int(given)):
        raise EmbeddedError(
            f"Port {given} is used by another program. Stop that program, or set PORT to another number."
        )
    preferred = int(given or read_private_json(var / WEB_FILE).get("PORT", USUAL_PORT))
    port = preferred if is_port_free(preferred) else free_port()
    write_private_json(var / WEB_FILE, {"PORT": port})
    return port


def wait_until_ready(port: int, *, is_alive: Callable[[], bool], log: Path) -> bool:
    """Return whether the web process became ready; wait as long as it runs, and print its state now and then."""
    return wait_while_alive(
        lambda: f"web {ask_readiness(port)[1]}",
        is_ready=lambda: ask_readiness(port)[0] == http.client.OK,
        is_alive=is_alive,
        log=log,
        poll_s=ASK_EVERY_S,
    )


def ask_readiness(port: int) -> tuple[int, str]:
    """Return the HTTP status of the web process' readiness and its details; 0 if it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        found = json.loads(answer.read())
    except (OSError, ValueError, http.client.HTTPException):
        return 0, "does not answer yet"
    finally:
        connection.close()
    details = ", ".join(f"{name} {word}" for name, word in found.items() if name != "status")
    return answer.status, f"is {found.get('status')} ({details})"

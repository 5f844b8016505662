"""Keeping programs running with supervisor: restarted when they fail, stopped warm when we stop or die."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tformance.embedded.logs import log_for_append
from tformance.embedded.marks import VARIABLE, clear
from tformance.embedded.private_files import write_private
from tformance.embedded.remembered import CHECKOUT
from tformance.embedded.telling import say
from tformance.processes.programs import STOP_SECONDS, Program
from tformance.processes.stopping import follow_parent

MOST_ENDINGS = 3  # of a program that is starting
UNEXPECTED = re.compile(r"(?:(?P<lost>gave up)|exited): (?P<program>[\w-]+) .*(?:not expected|FATAL)")


@dataclass(frozen=True)
class Supervision:
    """The supervisor's process, and how often each program ended although nobody stopped it."""

    process: "subprocess.Popen[bytes]"
    endings: Counter[str] = field(default_factory=Counter)

    def keeps_up(self, program: str) -> bool:
        """Whether the supervisor lives, and the program did not end again and again."""
        return self.process.poll() is None and self.endings[program] < MOST_ENDINGS


@contextlib.contextmanager
def supervised(programs: Sequence[Program], *, var: Path, mark: str) -> Iterator[Supervision]:
    """Run the programs under a supervisor until the block ends; then none of their processes is left."""
    path = var / "supervisord.conf"
    write_private(path, configuration(programs, var=var))
    errors = log_for_append(var / "log" / "supervisord-errors.log")  # it writes there even when we are gone
    supervisor = subprocess.Popen(
        [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(path)],
        cwd=CHECKOUT,
        env=os.environ | {VARIABLE: mark, "TFORMANCE_VAR": str(var)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,  # a Ctrl-C is for us; the programs hear SIGTERM, from their supervisor, once
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
        clear(mark, patience=10)
        supervisor.poll()


def _relay(supervision: Supervision, var: Path) -> None:
    """Tell what concerns the person at the terminal: a program that ended although nobody stopped it."""
    assert supervision.process.stdout is not None  # noqa: S101  for the type checker: it is a pipe
    for line in supervision.process.stdout:
        if match := UNEXPECTED.search(line.decode(errors="replace")):
            supervision.endings[match["program"]] += 1
            outcome = "It is not started again" if match["lost"] else "It is started again"
            say(
                f"! {match['program']} ended by itself. {outcome}; see {var / 'log' / match['program']}.log", error=True
            )


def configuration(programs: Sequence[Program], *, var: Path) -> str:
    """The supervisor's configuration file."""
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
        "autorestart": "true",  # also after a clean end: nobody but us should stop them
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

"""python -m tformance.embedded: start, stop and look at the engines of this checkout."""

import argparse
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from tformance.embedded.engines import Engines
from tformance.embedded.errors import EmbeddedError
from tformance.embedded.home import Home
from tformance.embedded.marks import VARIABLE, mark_of
from tformance.embedded.remembered import ensure_secrets, remembered, var_folder
from tformance.embedded.reporting import tell_abandoned, tell_engines
from tformance.embedded.telling import say
from tformance.settings_files import load_settings_files, names_in_settings_files

COMMANDS = {
    "start": "start both engines (harmless when they run) and leave them running",
    "stop": "stop both engines (harmless when they are stopped)",
    "status": "say whether they answer; exit code 3 when one does not",
    "env": 'print the variables that point at them, for eval "$(python -m tformance.embedded env)"',
    "secrets": "make the secrets that have no default, once, without starting anything",
    "with": "run a command with both engines running, and stop them after it: with -- COMMAND …",
    "remove": "stop both engines and delete all their data (needs --yes)",
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tformance.embedded",
        description="PostgreSQL and Redis for one machine, kept under TFORMANCE_VAR (default: var/ in the checkout).",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, meaning in COMMANDS.items():
        command = commands.add_parser(name, help=meaning, description=meaning.capitalize())
        if name == "remove":
            command.add_argument("--yes", action="store_true", help="really delete the data")
        if name == "with":
            command.add_argument("program", nargs=argparse.REMAINDER, metavar="COMMAND", help="what to run")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    try:
        load_settings_files()
        return run(options, var=var_folder())
    except EmbeddedError as error:
        say(f"error: {error}", error=True)
        return 1


def run(options: argparse.Namespace, *, var: Path) -> int:
    engines = Engines(var=var)
    match options.command:
        case "start":
            ensure_secrets(var)
            engines.start()
            return report(var)
        case "stop":
            stop_if_unused(engines)
            say("Both engines are stopped.")
        case "status":
            return report(var)
        case "env":
            print_environment(var)
        case "secrets":
            ensure_secrets(var)
        case "with":
            return run_with(engines, options.program, var=var)
        case "remove":
            return remove(engines, is_certain=options.yes)
    return 0


def report(var: Path) -> int:
    lines = list(tell_engines(var))
    for line, _ in lines:
        say(line)
    for note in tell_abandoned():
        say(note)
    return 0 if all(is_ready for _, is_ready in lines) else 3


def print_environment(var: Path) -> None:
    ensure_secrets(var)
    if Home.existing(var) is None:
        Engines(var=var).settle()
    names = dict.fromkeys([*remembered(var), *names_in_settings_files()])
    known = remembered(var) | {name: os.environ[name] for name in names if os.environ.get(name)}
    for name, value in (known | {"TFORMANCE_VAR": str(var)}).items():
        say(f"export {name}={shlex.quote(value)}")


def run_with(engines: Engines, program: list[str], *, var: Path) -> int:
    command = program[1:] if program[:1] == ["--"] else program
    if not command:
        say("error: which command? python -m tformance.embedded with -- COMMAND …", error=True)
        return 2
    ensure_secrets(var)
    with engines.borrowed():
        mark = {VARIABLE: mark_of(var, run=f"with-{os.getpid()}"), "TFORMANCE_ROLE": "command"}
        child = subprocess.Popen(command, env=os.environ | {"TFORMANCE_VAR": str(var)} | mark)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells the child as well; we wait for it
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        return child.wait()


def remove(engines: Engines, *, is_certain: bool) -> int:
    if not is_certain:
        say("error: this deletes every delivery and figure of this checkout. Add --yes to do it.", error=True)
        return 2
    stop_if_unused(engines)
    engines.remove()
    say("Both engines are stopped and their data is deleted.")
    return 0


def stop_if_unused(engines: Engines) -> None:
    if not engines.stop_unborrowed():
        users = ", ".join(str(process.pid) for process in engines.borrowers())
        raise EmbeddedError(f"The engines are in use (by process {users}). `make stop` ends whatever uses them.")


if __name__ == "__main__":
    sys.exit(main())

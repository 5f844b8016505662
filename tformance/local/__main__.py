"""python -m tformance.local: run tformance; the Makefile, the containers and the service units call it."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from tformance.celery_settings import QUEUES
from tformance.local import programs, runs
from tformance.local.console import EmbeddedError, StopRequestedError, follow_parent, say, stoppable
from tformance.local.engines import Engines
from tformance.local.programs import Program
from tformance.local.state import CHECKOUT, EngineState, ensure_secrets, local_settings, var_folder
from tformance.settings_files import load_settings_files, names_in_settings_files

COMMANDS = {
    "run": "start PostgreSQL, Redis, web, workers and beat; stop them with Ctrl-C",
    "demo": "the same, and post sample deliveries to the webhook address",
    "worker": "start the workers only",
    "beat": "start beat, the scheduler, only",
    "dev": "start workers and beat, without web",
    "stop": "stop all processes of this checkout, PostgreSQL and Redis included",
    "status": "show what runs and at which address; exit code 3 if something does not run",
}
ENGINE_COMMANDS = {
    "start": "start both engines (harmless when they run) and leave them running",
    "stop": "stop both engines (harmless when they are stopped)",
    "env": 'print the variables with their addresses, for eval "$(python -m tformance.local engines env)"',
    "remove": "stop both engines and delete all their data (needs --yes)",
}


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tformance.local",
        description="Run tformance on this machine; without DATABASE_URL and REDIS_URL, with embedded PostgreSQL and "
        "Redis. Their data is in TFORMANCE_VAR (default: var/ in the checkout).",
    )
    parser.add_argument(
        "--end-with-parent", action="store_true", help="stop when the program that started this one dies (Linux)"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, meaning in COMMANDS.items():
        commands.add_parser(name, help=meaning, description=meaning)
    meaning = "run a command with both engines running, and stop them after it: with -- COMMAND …"
    with_engines = commands.add_parser("with", help=meaning, description=meaning)
    with_engines.add_argument("program", nargs=argparse.REMAINDER, metavar="COMMAND", help="what to run")
    meaning = "run one process in the foreground, for a container or a service manager"
    _add_kinds(commands.add_parser("only", help=meaning, description=meaning))
    meaning = "manage the embedded PostgreSQL and Redis"
    _add_engine_commands(commands.add_parser("engines", help=meaning, description=meaning))
    return parser.parse_args(given)


def _add_kinds(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    web = kinds.add_parser("web", help="the HTTP server")
    web.add_argument("--host", default="127.0.0.1")
    web.add_argument("--port", type=int, default=os.environ.get("PORT") or 8000)
    worker = kinds.add_parser("worker", help="a worker")
    worker.add_argument(
        "--queues", required=True, type=queues, help="comma-separated: live, figures, backfill, maintenance"
    )
    worker.add_argument("--concurrency", type=positive, default=2)
    kinds.add_parser("beat", help="the scheduler; running several is harmless")


def _add_engine_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="engine_command", required=True, metavar="COMMAND")
    for name, meaning in ENGINE_COMMANDS.items():
        command = commands.add_parser(name, help=meaning, description=meaning)
        if name == "remove":
            command.add_argument("--yes", action="store_true", help="really delete the data")


def queues(text: str) -> str:
    unknown = set(text.split(",")) - set(QUEUES)
    if unknown:
        raise argparse.ArgumentTypeError(
            f"there is no queue {', '.join(sorted(unknown))!r}; there are {', '.join(QUEUES)}"
        )
    return text


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def main() -> int:
    try:
        load_settings_files()
        options = arguments()
        match options.command:
            case "only":
                become(chosen_program(options))
            case "with":
                return runs.run_command(var_folder(), options.program)
            case "engines":
                return manage_engines(options, var=var_folder())
        with stoppable():
            if options.end_with_parent:
                follow_parent()
            return act(options.command, var=var_folder())
    except StopRequestedError:
        say("\nStopped. Nothing is left running.")
        return 0
    except (EmbeddedError, ImproperlyConfigured) as error:
        say(f"error: {error}", error=True)
        return 1


def act(command: str, *, var: Path) -> int:
    match command:
        case "run" | "demo":
            return runs.run_everything(var, with_demo=command == "demo")
        case "stop":
            return runs.stop_everything(var)
        case "status":
            return runs.report_everything(var)
    chosen: list[Program] = []
    if command != "beat":
        chosen += programs.workers()
    if command != "worker":
        chosen.append(programs.beat_of(var))
    return runs.run_some(var, name=command, chosen=chosen)


def chosen_program(options: argparse.Namespace) -> Program:
    match options.kind:
        case "web":
            return programs.web(
                port=options.port, host=options.host, counters=var_folder() / "counters" / str(options.port)
            )
        case "worker":
            name = f"worker-{options.queues.replace(',', '-')}"
            return programs.worker(name, queues=options.queues, concurrency=options.concurrency)
    return programs.beat()


def become(program: Program) -> None:
    """Replace this process, so that the manager's signals reach the program's main process and no other."""
    runs.check_settings()
    import_string("apps.common.connections.refuse_unfit_pooler")()  # an app of ours is named in a string
    os.chdir(CHECKOUT)
    os.execve(program.command[0], program.command, os.environ | {"TFORMANCE_ROLE": program.role, **program.environment})  # noqa: S606


def manage_engines(options: argparse.Namespace, *, var: Path) -> int:
    engines = Engines(var=var)
    match options.engine_command:
        case "start":
            ensure_secrets(var)
            engines.start()
            for line, _ in runs.engine_lines(var):
                say(line)
        case "env":
            print_environment(var)
        case "stop":
            engines.stop_if_unused()
            say("Both engines are stopped.")
        case "remove" if not options.yes:
            say("error: this deletes every delivery and figure of this checkout. Add --yes to do it.", error=True)
            return 2
        case "remove":
            engines.stop_if_unused()
            engines.remove()
            say("Both engines are stopped and their data is deleted.")
    return 0


def print_environment(var: Path) -> None:
    ensure_secrets(var)
    if EngineState.existing(var) is None:
        Engines(var=var).configure()
    names = dict.fromkeys([*local_settings(var), *names_in_settings_files()])
    known = local_settings(var) | {name: os.environ[name] for name in names if os.environ.get(name)}
    for name, value in (known | {"TFORMANCE_VAR": str(var)}).items():
        say(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    sys.exit(main())

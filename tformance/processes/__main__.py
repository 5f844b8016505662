"""python -m tformance.processes: run tformance; the Makefile, the containers and the service units call it."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from tformance.broker import QUEUES
from tformance.embedded.errors import EmbeddedError
from tformance.embedded.remembered import CHECKOUT, var_folder
from tformance.embedded.telling import say
from tformance.processes import programs
from tformance.processes.programs import Program
from tformance.processes.run import check_settings, run_everything, run_some
from tformance.processes.status import report_everything
from tformance.processes.stop import stop_everything
from tformance.processes.stopping import StopRequestedError, follow_parent, stoppable
from tformance.settings_files import load_settings_files

ON_ONE_MACHINE = {
    "run": "engines, web, workers and beat, until Ctrl-C",
    "demo": "the same, with a sample story posted through the HTTP door",
    "worker": "the workers alone",
    "beat": "beat alone",
    "dev": "workers and beat, without web",
    "stop": "stop whatever runs, engines included",
    "status": "say what runs, and where it answers; exit code 3 when something does not",
}


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tformance.processes",
        description="Run tformance on this machine; without DATABASE_URL and REDIS_URL, on engines of its own.",
    )
    parser.add_argument(
        "--end-with-parent", action="store_true", help="stop when the program that started this one dies (Linux)"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, meaning in ON_ONE_MACHINE.items():
        commands.add_parser(name, help=meaning, description=meaning)
    meaning = "become one process, for a container or a service manager that looks after it"
    _one_process(commands.add_parser("only", help=meaning, description=meaning))
    return parser.parse_args(given)


def _one_process(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    web = kinds.add_parser("web", help="the HTTP server")
    web.add_argument("--host", default="127.0.0.1")
    web.add_argument("--port", type=int, default=os.environ.get("PORT") or 8000)
    worker = kinds.add_parser("worker", help="a worker")
    worker.add_argument(
        "--queues", required=True, type=queues, help="comma-separated: live, figures, backfill, maintenance"
    )
    worker.add_argument("--concurrency", type=positive, default=2)
    kinds.add_parser("beat", help="the clock; more than one do no harm")


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
        if options.command == "only":
            program = chosen_program(options)
            check_settings()
            import_string("apps.common.pooler.refuse_unfit_pooler")()  # an app of ours is named in a string
            become(program)
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
    chosen: tuple[Program, ...]
    match command:
        case "run" | "demo":
            return run_everything(var, with_demo=command == "demo")
        case "stop":
            return stop_everything(var)
        case "status":
            return report_everything(var)
        case "beat":
            chosen = (programs.beat_of(var),)
        case "worker":
            chosen = programs.workers()
        case _:
            chosen = (*programs.workers(), programs.beat_of(var))
    return run_some(var, name=command, chosen=chosen)


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
    os.chdir(CHECKOUT)
    os.execve(program.command[0], program.command, os.environ | {"TFORMANCE_ROLE": program.role, **program.environment})  # noqa: S606


if __name__ == "__main__":
    sys.exit(main())

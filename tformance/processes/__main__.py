"""python -m tformance.processes: run tformance on this machine; the Makefile calls it."""

import argparse
import sys
from pathlib import Path

from tformance.embedded.errors import EmbeddedError
from tformance.embedded.remembered import var_folder
from tformance.processes import programs
from tformance.processes.run import run_everything, run_some, stop_everything
from tformance.processes.stopping import StopRequestedError, follow_parent, stoppable
from tformance.processes.telling import say

COMMANDS = {
    "run": "engines, web, workers and beat, until Ctrl-C",
    "demo": "the same, with a sample story posted through the HTTP door",
    "worker": "the workers alone",
    "beat": "beat alone",
    "dev": "workers and beat, without web",
    "stop": "stop whatever runs, engines included",
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tformance.processes",
        description="Run tformance on this machine; without DATABASE_URL and REDIS_URL, on engines of its own.",
    )
    parser.add_argument(
        "--end-with-parent", action="store_true", help="stop when the program that started this one dies (Linux)"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, meaning in COMMANDS.items():
        commands.add_parser(name, help=meaning, description=meaning)
    return parser.parse_args()


def main() -> int:
    options = arguments()
    try:
        with stoppable():
            if options.end_with_parent:
                follow_parent()
            return act(options.command, var=var_folder())
    except StopRequestedError:
        say("\nStopped. Nothing is left running.")
        return 0
    except EmbeddedError as error:
        say(f"error: {error}", error=True)
        return 1


def act(command: str, *, var: Path) -> int:
    match command:
        case "run" | "demo":
            return run_everything(var, with_demo=command == "demo")
        case "stop":
            stop_everything(var)
            say("Everything is stopped.")
            return 0
    chosen = {
        "worker": programs.workers(),
        "beat": (programs.beat(),),
        "dev": (*programs.workers(), programs.beat()),
    }
    return run_some(var, name=command, chosen=chosen[command])


if __name__ == "__main__":
    sys.exit(main())

"""`make stop`: end every process of this checkout, in whatever terminal it was started, and say what that was."""

from contextlib import ExitStack
from pathlib import Path

from tformance.embedded.engines import Engines
from tformance.embedded.errors import EmbeddedError
from tformance.embedded.locks import try_exclusive
from tformance.embedded.marks import clear_all
from tformance.embedded.occupants import end_politely
from tformance.embedded.telling import say
from tformance.processes.programs import STOP_SECONDS
from tformance.processes.runs import LOCK_FILE, find_runners, find_runs


def stop_everything(var: Path) -> int:
    """Stop the runs, then what killed runs left behind, then the engines; the exit code."""
    engines = Engines(var=var)
    runs, running = find_runs(var), engines.running()
    with ExitStack() as stack:
        end_politely(find_runners(var), patience=2 * STOP_SECONDS)  # each stops its own programs, warm
        try_exclusive(var / LOCK_FILE, stack=stack)  # nothing starts meanwhile
        clear_all(var, patience=STOP_SECONDS)
        if not engines.stop_unborrowed(patience=1) or find_runs(var):
            left = "\n".join(f"  {run}" for run in find_runs(var))
            raise EmbeddedError(f"Not everything has stopped; look at {var / 'log'}. Still running:\n{left}")
    for run in runs:
        say(f"Stopped {run}.")
    if running:
        say(f"Stopped {' and '.join(running)}.")
    say("Nothing of this checkout is left running." if runs or running else "Nothing was running.")
    return 0

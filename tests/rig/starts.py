"""python -m tests.rig.starts: start `make run` again and again on a busy machine; every start must come up.

Each start is in a folder of its own, from nothing: engines made, database migrated, web ready. Exit code 1: one did not
come up, or the machine was not busy.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.runtime.checkout import Checkout
from tformance.local.console import say, stoppable
from tformance.local.stop_processes import wait_until

LEAST_LOAD = 15


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.rig.starts", description=__doc__)
    parser.add_argument("--count", type=int, default=20, help="how many starts (default 20)")
    parser.add_argument("--at-once", type=int, default=1, help="how many of them at a time (default 1)")
    parser.add_argument("--loops", type=int, default=16, help="busy loops beside them (default 16)")
    options = parser.parse_args()
    with stoppable(), busy(options.loops):
        say(f"Waiting for a load of {LEAST_LOAD} …")
        wait_until(lambda: os.getloadavg()[0] >= LEAST_LOAD, seconds=180)
        with ThreadPoolExecutor(max_workers=options.at_once) as pool:
            outcomes = list(pool.map(start, range(1, options.count + 1)))
    came_up = sum(outcomes)
    say(f"{'KEPT' if came_up == options.count else 'FAILED'}: {came_up} of {options.count} starts came up.")
    return 0 if came_up == options.count else 1


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """Load the processors with endless loops at normal priority, each in a session of its own.

    Linux shares the processors among sessions first (sched_autogroup): loops in one session would be one program.
    """
    command = [sys.executable, "-c", "while True: pass"]
    running = [subprocess.Popen(command, start_new_session=True) for _ in range(loops)]
    try:
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


def start(number: int) -> bool:
    """Return whether one start from nothing came up under load; then stop it."""
    with tempfile.TemporaryDirectory(prefix="tformance-start-") as folder:
        checkout = Checkout(Path(folder) / "var")
        begin, load = time.monotonic(), os.getloadavg()[0]
        run = checkout.start()
        try:
            while run.process.poll() is None and "Ctrl-C stops" not in run.said():
                time.sleep(1)
            load = max(load, os.getloadavg()[0])
            is_up = run.process.poll() is None and load >= LEAST_LOAD
            words = "came up" if is_up else f"did not come up under such a load:\n{run.said()}"
            say(f"start {number:2}: {words} after {time.monotonic() - begin:.0f} s, load {load:.1f}")
            run.process.terminate()
            run.process.wait()
            return is_up
        finally:
            checkout.clear()


if __name__ == "__main__":
    sys.exit(main())

"""Engines of `make run` that are killed: the runner starts them again."""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.rig.recoveries.bench import Row
from tests.runtime.checkout import Checkout
from tests.runtime.test_engines import kill_engine
from tformance.local.engines import Engines
from tformance.local.stop_processes import wait_until

LONGEST_S = 15
KILLED = (("PostgreSQL",), ("Redis",), ("PostgreSQL", "Redis"))


def measure(report: Callable[[str], None], *, words: Sequence[str]) -> list[Row]:
    """Kill each engine, then both, under a run of their own; how long until all is ready again."""
    if words and not any(word in "engines_killed" for word in words):
        return []
    kept = {name: os.environ.pop(name) for name in ("DATABASE_URL", "REDIS_URL") if name in os.environ}
    with tempfile.TemporaryDirectory(prefix="tformance-runner-") as folder:
        checkout = Checkout(Path(folder) / "var")
        try:
            run = checkout.start_and_wait()
            rows = []
            for names in KILLED:
                before = {name: run.said().count(f"! {name} runs again") for name in names}
                started = time.monotonic()
                for name in names:
                    kill_engine(Engines(var=checkout.var), name)
                for name, times in before.items():
                    run.wait_for(f"! {name} runs again", times=times + 1)
                assert wait_until(lambda: checkout.status_of("/readyz") == 200, seconds=120)
                seconds = time.monotonic() - started
                rows.append(Row(f"{' and '.join(names)} killed under make run: ready again", seconds, LONGEST_S))
                report(str(rows[-1]))
            return rows
        finally:
            checkout.clear()
            os.environ |= kept

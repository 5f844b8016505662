"""python -m tests.rig.chaos: a long storm over a rig of its own; `make chaos` calls it.

Exit code 0: every acknowledged delivery took effect exactly once, and every figure is right. 1: something is not so.
"""

import argparse
import random
import sys
import time
from pathlib import Path

from tests.rig.machine import rig
from tests.rig.storm import Outcome, rage
from tformance.local.state import var_folder


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.rig.chaos",
        description="Break everything at random while deliveries come in, then account for every one of them.",
    )
    parser.add_argument("--seconds", type=float, default=600, help="how long the storm rages (default 600)")
    parser.add_argument("--seed", type=int, help="repeats a storm; by default one is chosen and printed")
    parser.add_argument("--rate", type=float, default=40, help="deliveries a second at most (default 40)")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    say(f"A storm of {options.seconds:.0f} s, seed {seed} (SEED={seed} repeats it). Starting a rig …")
    started = time.monotonic()
    logs = var_folder() / "chaos" / f"seed-{seed}"
    with rig(logs=logs) as made:
        say(f"The rig is up after {time.monotonic() - started:.0f} s.")
        if made.clocks is None:
            say("There is no C compiler (cc), so all clocks stay right.")
        outcome = rage(made, seed=seed, seconds=options.seconds, rate=options.rate, tell=say)
    report(outcome, logs=logs)
    return 1 if outcome.failures else 0


def report(outcome: Outcome, *, logs: Path) -> None:
    """Whatever is wrong, and the verdict in one line."""
    for failure in outcome.failures:
        say(f"! {failure[:2000]}")
    if outcome.failures:
        say(f"! The logs of the rig are in {logs}")
    found = outcome.reckoning
    say(
        f"{'FAILED' if outcome.failures else 'KEPT'}: seed {outcome.seed}, {found.acknowledged} acknowledged, "
        f"{found.effects} effects, {len(outcome.faults)} faults; lost {len(found.lost)}, doubled {len(found.doubled)}, "
        f"unfinished {len(found.unfinished)}, leases left {len(found.leases)}, "
        f"different from the fold {len(found.different)} of {found.rows_compared} rows; "
        f"slowest answer {outcome.slowest_s:.2f} s, settled {outcome.settled_s:.0f} s after the last fault"
    )


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

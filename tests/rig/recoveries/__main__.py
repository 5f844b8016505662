"""python -m tests.rig.recoveries: break one thing at a time and measure how long it shows; `make recovery` calls it.

Each row is measured from the moment named until the last delivery concerned has taken effect, or is claimed anew, and
has an upper limit. Exit code 1: a limit was exceeded.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from tests.rig.machine import Rig, rig
from tests.rig.recoveries import of_connections, of_postgres, of_processes, of_redis, of_the_runner
from tests.rig.recoveries.bench import Bench
from tformance.local.state import var_folder

LONGEST_ANSWER_S = 5.0


def measurements(made: Rig) -> dict[str, Callable[[Bench], None]]:
    """Every measurement by its name; one fault at a time."""
    named = (
        of_processes.child_killed,
        of_processes.worker_killed,
        of_processes.web_killed,
        of_processes.beats_killed,
        of_processes.slow_at_each_attempt,
        of_processes.poisoned,
        of_processes.worker_garbled,
        of_redis.redis_restarted,
        of_redis.redis_away,
        of_redis.redis_blackholed,
        of_redis.redis_flushed,
        of_postgres.postgres_restarted,
        of_postgres.postgres_down,
        of_postgres.postgres_read_only,
        of_connections.frozen_in_mid_delivery,
        of_connections.beats_half_open,
        of_connections.partitioned,
    )
    return {act.__name__: act for act in named} | of_connections.half_open(made)


def measure(bench: Bench, *, words: Sequence[str] = ()) -> None:
    """Every measurement, or those whose names hold one of the words, each on a rig at rest."""
    for name, act in measurements(bench.rig).items():
        if words and not any(word in name for word in words):
            continue
        bench.rest()
        act(bench)
    bench.rest()
    bench.note(f"slowest answer of the receiver ({bench.slowest_at})", bench.slowest_s, limit_s=LONGEST_ANSWER_S)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.rig.recoveries",
        description="Break one thing at a time, and measure how long it takes until all is well again.",
    )
    parser.add_argument("words", nargs="*", help="only the measurements whose names hold one of these words")
    return parser.parse_args()


def main() -> int:
    words = arguments().words
    say("Starting a rig …")
    logs = var_folder() / "recoveries"
    with rig(logs=logs) as made:
        bench = Bench(rig=made, report=say)
        measure(bench, words=words)
    bench.rows += of_the_runner.measure(say, words=words)
    exceeded = [row for row in bench.rows if not row.is_kept]
    say(
        f"{'FAILED' if exceeded else 'KEPT'}: {len(bench.rows) - len(exceeded)} of {len(bench.rows)} limits were kept "
        f"(load average {os.getloadavg()[0]:.1f})."
    )
    if exceeded:
        say(f"The logs of the rig are in {logs}")
    return 1 if exceeded else 0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

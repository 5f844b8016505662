"""Steady traffic: 50 deliveries a second, as `make run` runs it, with workers and figures on the same machine."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from benchmarks.bodies import mean_size, signed_bodies
from benchmarks.end_to_end import wait_until_fresh
from benchmarks.load import Answers, Body, post
from benchmarks.results import Measurement, median_of
from benchmarks.stack import stack
from tformance.local import programs

RATE_PER_S = 50
SECONDS, ROUNDS = 12, 5
BODY_BYTES = 20_000


def measure() -> Iterator[Measurement]:
    """How soon a post is acknowledged, each on a connection of its own, as GitHub's are."""
    rounds: list[list[float]] = []
    with stack() as running, ExitStack() as everything:
        everything.enter_context(running.running(*programs.workers(), programs.beat()))
        port = everything.enter_context(running.web())
        bodies = signed_bodies(secret=running.secret, count=200, size=BODY_BYTES)
        post(bodies, port=port, count=500)
        for _ in range(ROUNDS):
            wait_until_fresh(running)
            rounds.append(sorted(latency for answers in _at_rate(bodies, port=port) for latency in answers.latencies))
    name = f"acknowledged at {RATE_PER_S}/s of {mean_size(bodies) / 1000:.1f} kB"
    for share, quantile in ((0.5, "p50"), (0.99, "p99"), (1.0, "slowest")):
        values = [one[min(len(one) - 1, int(len(one) * share))] * 1000 for one in rounds]
        yield median_of(f"{name}, {quantile}", values, unit="ms")


def _at_rate(bodies: list[Body], *, port: int) -> list[Answers]:
    began = time.perf_counter()
    with ThreadPoolExecutor(32) as pool:
        waiting = []
        for index in range(RATE_PER_S * SECONDS):
            time.sleep(max(0.0, began + index / RATE_PER_S - time.perf_counter()))
            waiting.append(pool.submit(post, [bodies[index % len(bodies)]], port=port, count=1, connections=1))
        found = [one.result() for one in waiting]
    if any(set(answers.statuses) != {202} for answers in found):
        raise RuntimeError("The receiver did not accept everything.")
    return found

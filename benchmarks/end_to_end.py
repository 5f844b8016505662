"""End to end, as `make run` runs it: 5,000 mixed deliveries, from the first POST until the figures are fresh.

Beside a Celery pipeline that publishes and consumes one no-op task per delivery, on the same Redis and two cores.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack

import psycopg

from apps.demo.scenario import Sent
from benchmarks.bodies import mixed_deliveries, signed_deliveries
from benchmarks.costs import PARTS, Costs, costs_of
from benchmarks.load import post
from benchmarks.results import Measurement, median_of
from benchmarks.stack import Stack, stack
from tformance.local import programs
from tformance.local.programs import Program
from tformance.local.state import CHECKOUT

COUNT, WARM_UP, ROUNDS = 5000, 500, 5
UNFINISHED = "SELECT count(*) FROM webhooks_delivery WHERE state IN ('received', 'running', 'failed')"
LONGEST_S = 300


def measure() -> Iterator[Measurement]:
    """Deliveries a second through everything, and no-op tasks a second through Celery alone, in turn; costs of each."""
    ours: list[float] = []
    no_ops: list[float] = []
    costs: list[Costs] = []
    sent = mixed_deliveries(count=WARM_UP + ROUNDS * COUNT)
    with stack() as running, ExitStack() as everything:
        everything.enter_context(running.running(*programs.workers(), programs.beat()))
        port = everything.enter_context(running.web())
        through_everything(running, port=port, sent=sent[:WARM_UP])
        for index in range(ROUNDS):
            with costs_of(running) as one_round:
                mine = sent[WARM_UP + index * COUNT :][:COUNT]
                ours.append(through_everything(running, port=port, sent=mine))
            costs.append(one_round)
            no_ops.append(no_op_rate(running))
    yield median_of("end to end", ours, unit="deliveries/s", beside={"no-op tasks/s": statistics.median(no_ops)})
    for part in PARTS:
        rounds = [one.cpu_s[part] / COUNT * 1e6 for one in costs]
        yield median_of(f"CPU of a delivery, {part}", rounds, unit="µs")
    yield median_of("write-ahead log of a delivery", [one.wal_bytes / COUNT for one in costs], unit="bytes")


def through_everything(running: Stack, *, port: int, sent: list[Sent]) -> float:
    bodies = signed_deliveries(sent, secret=running.secret)
    started = time.perf_counter()
    answers = post(bodies, port=port, count=len(bodies))
    if set(answers.statuses) != {202}:
        raise RuntimeError(f"The door answered {answers.statuses}")
    wait_until_fresh(running)
    return len(bodies) / (time.perf_counter() - started)


def wait_until_fresh(running: Stack, *, limit_s: float = LONGEST_S) -> None:
    """Until no delivery is unfinished and no change waits."""
    deadline = time.monotonic() + limit_s
    with psycopg.connect(running.environment["DATABASE_URL"], autocommit=True) as connection:
        while time.monotonic() < deadline:
            waiting = connection.execute(f"SELECT ({UNFINISHED}) + (SELECT count(*) FROM activity_change)").fetchone()
            if waiting == (0,):
                return
            time.sleep(0.05)
    raise RuntimeError(f"After {limit_s:.0f} s deliveries or changes still wait; see {running.var / 'log'}")


def no_op_rate(running: Stack) -> float:
    """Publish and consume at once, as the pipeline above posts and processes at once."""
    command = (sys.executable, "-m", "celery", "--app", "benchmarks.no_op", "worker", "--concurrency", "2")
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING")
    with running.running(Program(name="no-op", role="worker", command=(*command, *quiet))):
        measured = subprocess.run(
            [sys.executable, "-m", "benchmarks.no_op", str(COUNT)],
            cwd=CHECKOUT,
            env=running.environment,
            check=True,
            capture_output=True,
            text=True,
        )
    return float(measured.stdout)

"""Growth: one new delivery into 10,000 and into 1,000,000 pull requests, and how soon a webhook becomes a figure."""

import bisect
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import psycopg

from benchmarks.bodies import mixed_deliveries, signed_deliveries
from benchmarks.end_to_end import wait_until_fresh
from benchmarks.load import Body, post
from benchmarks.results import Measurement
from benchmarks.stack import Stack, live_workers, stack
from tformance.local import programs

WAITING = "SELECT FROM webhooks_delivery WHERE state IN ('received', 'running', 'failed')"
SMALL, LARGE = 10_000, 1_000_000
PROBES = 150
RATE_PER_S = 20
FIRST_NUMBER = 10_000_000

# History is multiplied inside the database: real rows of real shape, only with other numbers.
MULTIPLY = (
    """INSERT INTO activity_pullrequest
       (repository_id, number, github_id, title, state, is_draft, author_id, created_at, updated_at, closed_at,
        merged_at, base_ref, head_ref, head_sha, core_stamp, additions, deletions, changed_files, commit_count,
        sizes_stamp)
       SELECT repository_id, {base} + series, github_id + {base} + series, title, state, is_draft, author_id,
              created_at, updated_at, closed_at, merged_at, base_ref, head_ref || '-' || series, md5(series::text),
              core_stamp, additions, deletions, changed_files, commit_count, sizes_stamp
       FROM generate_series(1, {count}) AS series
       JOIN LATERAL (SELECT * FROM activity_pullrequest WHERE number < {base} AND merged_at IS NOT NULL
                     ORDER BY id OFFSET series % 20 LIMIT 1) AS model ON true""",
    """INSERT INTO activity_review (github_id, repository_id, number, author_id, submitted_at, stamp, verdict)
       SELECT {base}::bigint * 1000 + number, repository_id, number, author_id, created_at, core_stamp, 'approved'
       FROM activity_pullrequest WHERE number > {base}""",
    """INSERT INTO activity_pullrequestevent (repository_id, number, kind, subject, at, source)
       SELECT repository_id, number, 'head_moved', head_sha, created_at, 'webhook'
       FROM activity_pullrequest WHERE number > {base}""",
)


def measure() -> Iterator[Measurement]:
    """Seconds from POST to figure, one at a time, at both sizes; and at 20 deliveries a second, the 95th percentile."""
    with stack() as running, ExitStack() as everything:
        everything.enter_context(running.running(*live_workers(), programs.beat()))
        port = everything.enter_context(running.web())
        bodies = signed_deliveries(mixed_deliveries(count=4000), secret=running.secret)
        post(bodies[:2000], port=port, count=2000)
        wait_until_fresh(running)
        grow(running, to=SMALL)
        small = median_ms(running, port=port, bodies=bodies[2000 : 2000 + PROBES])
        at_rate = p95_ms(running, port=port, bodies=bodies[2200:2700])
        grow(running, to=LARGE)
        large = median_ms(running, port=port, bodies=bodies[2800 : 2800 + PROBES])
    yield Measurement(
        name="one delivery among 1,000,000 pull requests", value=large, unit="ms", beside={"among 10,000, ms": small}
    )
    yield Measurement(name="webhook to figure p95 at 20/s", value=at_rate, unit="ms")


def grow(running: Stack, *, to: int) -> None:
    """Fill the tables up to so many pull requests and let PostgreSQL learn their statistics."""
    with psycopg.connect(running.environment["DATABASE_URL"], autocommit=True) as connection:
        known = connection.execute("SELECT count(*), coalesce(max(number), 0) FROM activity_pullrequest").fetchone()
        count, highest = known or (0, 0)
        base = max(highest, FIRST_NUMBER)
        for statement in MULTIPLY:
            connection.execute(statement.format(base=base, count=to - count))
        connection.execute("DELETE FROM activity_change")
        connection.execute("VACUUM ANALYZE")
    running.manage("rebuild_figures")


def median_ms(running: Stack, *, port: int, bodies: list[Body]) -> float:
    """One delivery after the other: the time until its figures are fresh."""
    times = []
    with Freshness(running) as freshness:
        for body in bodies:
            started = time.perf_counter()
            post([body], port=port, count=1, connections=1)
            freshness.wait()
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


@dataclass(frozen=True, slots=True)
class Posted:
    """When a delivery was sent and when it was acknowledged."""

    sent_at: float
    kept_at: float


def p95_ms(running: Stack, *, port: int, bodies: list[Body]) -> float:
    """A delivery every 50 ms: each counts as a figure at the next instant at which nothing at all waits."""
    posted: list[Posted] = []
    thread = threading.Thread(target=post_at_rate, args=(bodies,), kwargs={"port": port, "posted": posted})
    thread.start()
    asked: list[float] = []
    fresh: list[float] = []
    with Freshness(running) as freshness:
        while thread.is_alive() or asked[-1] < posted[-1].kept_at:
            asked.append(freshness.wait())
            fresh.append(time.perf_counter())
            time.sleep(0.003)
    # Only who asks after the delivery was kept can see that nothing waits any more.
    waits = [fresh[bisect.bisect_left(asked, one.kept_at)] - one.sent_at for one in posted]
    return statistics.quantiles(waits, n=20)[-1] * 1000


def post_at_rate(bodies: list[Body], *, port: int, posted: list[Posted]) -> None:
    began = time.perf_counter()
    for index, body in enumerate(bodies):
        time.sleep(max(0.0, began + index / RATE_PER_S - time.perf_counter()))
        sent_at = time.perf_counter()
        post([body], port=port, count=1, connections=1)
        posted.append(Posted(sent_at, time.perf_counter()))


class Freshness:
    """Asks the database, on one connection, whether anything waits."""

    QUESTION = f"SELECT EXISTS ({WAITING}) OR EXISTS (SELECT FROM activity_change)"

    def __init__(self, running: Stack) -> None:
        self._connection = psycopg.connect(running.environment["DATABASE_URL"], autocommit=True)

    def __enter__(self) -> "Freshness":
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def wait(self) -> float:
        """Until no delivery and no change waits; when that was asked."""
        while True:
            asked_at = time.perf_counter()
            if self._connection.execute(self.QUESTION).fetchone() == (False,):
                return asked_at
            time.sleep(0.003)

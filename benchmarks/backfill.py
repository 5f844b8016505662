"""Backfill: what 1,000 pull requests with their reviews, commits and timelines cost a worker and GitHub's limits.

The GitHub is the fake one of the tests, which answers at once, in this process: its own time is not a worker's. Beside
1,000 pull requests stand 50,000 of another repository, read by the same worker afterwards: memory must not grow.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

import psutil
import psycopg

from benchmarks.costs import cpu_s
from benchmarks.memory import high_water
from benchmarks.results import Measurement
from benchmarks.stack import Stack, stack
from tests.fake_github.generated import Size
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub
from tformance.local import programs

INSTALLATION = 7
FEW, MANY = 1_000, int(os.environ.get("BACKFILL_BENCH_MANY", "50000"))
LONGEST_S = 1800
MOST_POINTS = 1_000_000
"""The fake's hourly limit here: waiting for a reset is not what is measured."""
ROW = """
    SELECT j.state, j.items, j.calls, j.points FROM integrations_backfill b JOIN jobs_job j ON j.id = b.job_ptr_id
    JOIN activity_repository r ON r.github_id = b.repository_id WHERE r.full_name = %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """One repository read to its end."""

    seconds: float
    cpu_s: float
    peak_mb: float
    calls: int
    points: int


def measure() -> Iterator[Measurement]:
    """CPU seconds of the worker per 1,000 pull requests, calls and points, and its peak memory after few and many."""
    with FakeGitHub() as github, stack() as running, ExitStack() as everything:
        github.limits.limit = MOST_POINTS
        github.world.install(INSTALLATION)
        for place, (name, count) in enumerate((("few", FEW), ("many", MANY)), start=11):
            github.world.add(name, installation_id=INSTALLATION, repository_id=place, size=Size(pull_requests=count))
        running.environment.update(
            GITHUB_API_URL=github.url, GITHUB_APP_ID=str(APP_ID), GITHUB_APP_PRIVATE_KEY=app_pem()
        )
        know_the_repositories(running, github)
        worker = programs.worker("worker-backfill", queues="backfill,maintenance", concurrency=2)
        process, _ = everything.enter_context(running.running(worker, programs.beat()))
        few, many = (walk(running, name=name, worker=psutil.Process(process.pid)) for name in ("few", "many"))
    yield Measurement(name="backfill of 1,000 pull requests, from command to end", value=few.seconds, unit="s")
    yield Measurement(name=f"backfill of {MANY:,} pull requests, from command to end", value=many.seconds, unit="s")
    yield Measurement(name="backfill of 1,000 pull requests, CPU", value=few.cpu_s, unit="s")
    yield Measurement(
        name="backfill of 1,000 pull requests, GraphQL calls",
        value=few.calls,
        unit="calls",
        beside={"points": few.points},
    )
    yield Measurement(
        name=f"backfill of {MANY:,} pull requests, CPU per 1,000",
        value=many.cpu_s / MANY * 1000,
        unit="s",
        beside={"of 1,000, s": few.cpu_s},
    )
    yield Measurement(
        name=f"worker's peak memory after {MANY:,} pull requests",
        value=many.peak_mb,
        unit="MB",
        beside={"after 1,000, MB": few.peak_mb},
    )


def know_the_repositories(running: Stack, github: FakeGitHub) -> None:
    """As if the installation had been listed: rows that a listing would write."""
    now = datetime.now(UTC)
    with psycopg.connect(running.environment["DATABASE_URL"], autocommit=True) as connection:
        owner = github.world.installations[INSTALLATION].account
        connection.execute(
            "INSERT INTO activity_contributor (github_id, login, kind) VALUES (%s, %s, 'organization')",
            [owner.id, owner.login],
        )
        connection.execute(
            "INSERT INTO activity_installation (github_id, account_id, app_id, created_at, listed_at)"
            " VALUES (%s, %s, %s, %s, %s)",
            [INSTALLATION, owner.id, APP_ID, now, now],
        )
        for truth in github.world.repositories.values():
            connection.execute(
                "INSERT INTO activity_repository (github_id, full_name, owner_id) VALUES (%s, %s, %s)",
                [truth.json["id"], truth.full_name, owner.id],
            )
            connection.execute(
                "INSERT INTO activity_repositoryaccess (installation_id, repository_id, has_access, is_verified)"
                " VALUES (%s, %s, true, true)",
                [INSTALLATION, truth.json["id"]],
            )


def walk(running: Stack, *, name: str, worker: psutil.Process) -> Walked:
    """Have the repository's pull requests read, and wait for the end."""
    before_s, started = cpu_s(worker), time.perf_counter()
    running.manage("backfill", f"acme/{name}", "--streams", "pull_requests")
    deadline = time.monotonic() + LONGEST_S
    with psycopg.connect(running.environment["DATABASE_URL"], autocommit=True) as connection:
        while (row := connection.execute(ROW, [f"acme/{name}"]).fetchone() or ("",))[0] != "done":
            if row[0] in {"failed", "cancelled"} or time.monotonic() > deadline:
                raise RuntimeError(f"The backfill of acme/{name} is {row}; see {running.var / 'log'}")
            time.sleep(0.05)
    return Walked(
        seconds=time.perf_counter() - started,
        cpu_s=cpu_s(worker) - before_s,
        peak_mb=peak_mb(worker),
        calls=row[2],
        points=row[3],
    )


def peak_mb(worker: psutil.Process) -> float:
    """The most that any one of its processes ever held."""
    return max(high_water(one.pid) for one in (worker, *worker.children(recursive=True)))

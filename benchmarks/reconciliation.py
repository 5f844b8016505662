"""Reconciliation: what a night costs where nothing changed, in seconds and in points of GitHub's hourly limit.

500 repositories with five open pull requests each, for seven nights, of which each looks again at what is open in
another seventh. The GitHub is the fake one of the tests, which answers at once, in this process.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import psycopg

from benchmarks.backfill import INSTALLATION, MOST_POINTS, know_the_repositories
from benchmarks.results import Measurement
from benchmarks.stack import Stack, stack
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.organisations import QuietRepositories, quiet_repositories
from tests.fake_github.server import FakeGitHub
from tformance.local import programs

COUNT, NIGHTS = 500, 7
LONGEST_S = 300
RING = "from apps.jobs.wakeups import enqueue_due; enqueue_due()"
TURN = """
    UPDATE integrations_streammark
    SET reread_at = now() - CASE WHEN repository_id %% 7 = %s THEN interval '9 days' ELSE interval '1 minute' END
"""
BEGIN = """
    WITH log AS (
        INSERT INTO integrations_synclog (sync_id, cause, is_fanned_out, status, started_at)
        VALUES (%s, 'nightly', true, 'running', now()) RETURNING id
    ), job AS (
        INSERT INTO jobs_job (kind, key, installation_id, priority, page_size, skipped)
        SELECT 'verify_repository', log.id || '/' || r.github_id, %s, 1, 35, '[]' FROM log, activity_repository r
        RETURNING id, split_part(key, '/', 2)::bigint AS repository_id
    )
    INSERT INTO integrations_repositorysync (job_ptr_id, sync_id, repository_id, marks, differs)
    SELECT job.id, log.id, job.repository_id, '{}', '{}' FROM job, log
"""
LEFT = "SELECT count(*) FROM jobs_job WHERE kind = 'verify_repository' AND state <> 'done'"


def measure() -> Iterator[Measurement]:
    """Seconds and GraphQL points of a night, on average over a week and at the most."""
    with FakeGitHub() as github, stack() as running, ExitStack() as everything:
        github.limits.limit = MOST_POINTS
        github.world.install(INSTALLATION)
        quiet = quiet_repositories(github.world, installation_id=INSTALLATION, count=COUNT)
        running.environment.update(
            GITHUB_API_URL=github.url, GITHUB_APP_ID=str(APP_ID), GITHUB_APP_PRIVATE_KEY=app_pem()
        )
        know_the_repositories(running, github)
        know_their_history(running, quiet)
        worker = programs.worker("worker-maintenance", queues="live,backfill,maintenance", concurrency=2)
        everything.enter_context(running.running(worker, programs.beat()))
        first, *week = [night(running, github, number=number) for number in range(NIGHTS + 1)]
    seconds, points = [took for took, _ in week], [cost for _, cost in week]
    yield Measurement(
        name=f"reconciliation of {COUNT} quiet repositories, a night",
        value=sum(seconds) / NIGHTS,
        unit="s",
        beside={"the longest, s": max(seconds), "the first, s": first[0]},
    )
    yield Measurement(
        name=f"reconciliation of {COUNT} quiet repositories, GraphQL points a night",
        value=sum(points) / NIGHTS,
        unit="points",
        beside={"at the most": float(max(points)), "the first": float(first[1])},
    )


def know_their_history(running: Stack, quiet: QuietRepositories) -> None:
    """As if everything had been read just now."""
    with psycopg.connect(running.environment["DATABASE_URL"], autocommit=True) as connection:
        _insert(connection, "activity_pullrequest", quiet.pull_requests)
        _insert(connection, "activity_coverage", list(quiet.coverage(to_at=datetime.now(UTC))))


def _insert(connection: Any, table: str, rows: list[dict[str, Any]]) -> None:
    columns = list(rows[0])
    places = ", ".join(["%s"] * len(columns))
    statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"
    with connection.cursor() as cursor:
        cursor.executemany(statement, [list(row.values()) for row in rows])


def night(running: Stack, github: FakeGitHub, *, number: int) -> tuple[float, int]:
    """Run one; how long it took, with ringing for it, and what it cost."""
    asked = len(github.calls("graphql"))
    with psycopg.connect(running.environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(TURN, [number % NIGHTS])
        connection.execute(BEGIN, [f"nightly:{number}", INSTALLATION])
        started = time.perf_counter()
        running.manage("shell", "--command", RING)
        while (left := connection.execute(LEFT).fetchone()) != (0,):
            if time.perf_counter() - started > LONGEST_S:
                raise RuntimeError(f"{left} repositories are not done; see {running.var / 'log'}")
            time.sleep(0.05)
    took = time.perf_counter() - started
    return took, sum(call.cost for call in github.calls("graphql")[asked:])

"""Figures of a million pull requests: their rebuild, a team's dashboard, the whole organisation, and changes."""

import importlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

import psutil
import psycopg

from benchmarks.costs import cpu_s
from benchmarks.history import MEMBERS, ORGANISATION, TEAMS, facts
from benchmarks.inbox import counted
from benchmarks.results import Measurement
from benchmarks.stack import Stack, stack
from tformance.local.state import CHECKOUT

PULL_REQUESTS, REPOSITORIES = 1_000_000, 500
AT_ONCE = 3
ROUNDS = 40
FEW = 5
DASHBOARD = "window=84d&granularity=week&compare=previous"
# Of an environment of its own: the first and the last commit of these merges are deployed, and then one in the middle.
MERGES_OF_LATE = 400
DEPLOY = """
    WITH merges AS (
        SELECT *, row_number() OVER (ORDER BY merged_at) AS place FROM (
            SELECT repository_id, merge_sha, merged_at FROM activity_pullrequest
            WHERE repository_id = %(repository)s AND merged_at IS NOT NULL
            ORDER BY merged_at DESC LIMIT %(merges)s
        ) AS latest
    ), deployments AS (
        INSERT INTO activity_deployment (github_id, repository_id, sha, environment, task, created_at)
        SELECT 900000000 + %(repository)s * 1000 + place, repository_id, merge_sha, 'production-late', 'deploy',
               merged_at
        FROM merges WHERE place = ANY(%(places)s)
        RETURNING *
    ), statuses AS (
        INSERT INTO activity_deploymentstatus (github_id, deployment_id, repository_id, state, environment, created_at)
        SELECT github_id, github_id, repository_id, 'success', environment, created_at + interval '1 min'
        FROM deployments
    )
    INSERT INTO activity_change (kind, key) SELECT 'deployment', github_id::text FROM deployments
"""


def measure() -> Iterator[Measurement]:
    """Milliseconds of each answer of the web process, with all of Python, and the number of statements."""
    with stack() as running:
        with psycopg.connect(running.environment["DATABASE_URL"], autocommit=True) as connection:
            fill(connection, pull_requests=PULL_REQUESTS)
            yield from rebuilding(running, connection)
            connection.execute("VACUUM ANALYZE")
        os.environ |= running.environment | {"DJANGO_SETTINGS_MODULE": "tformance.settings", "TFORMANCE_ROLE": "web"}
        importlib.import_module("tformance.wsgi")  # as a web process starts
        make_teams()
        yield from answers()


def fill(connection: psycopg.Connection[Any], *, pull_requests: int, more: Iterable[str] = ()) -> None:
    """Store the facts, of which all that figures read is still to be derived."""
    for statement in (*facts(pull_requests=pull_requests, repositories=REPOSITORIES), *more):
        connection.execute(statement)
    connection.execute("VACUUM ANALYZE")


def rebuilding(running: Stack, connection: psycopg.Connection[Any]) -> Iterator[Measurement]:
    """Derive everything from the facts by the command; its memory after a tenth of the time and at its highest."""
    server = psutil.Process(connection.info.backend_pid).parent()
    assert server is not None  # noqa: S101  a backend has its postmaster
    command = [sys.executable, str(CHECKOUT / "manage.py"), "rebuild_figures", "--at-once", str(AT_ONCE)]
    environment = running.environment | {"TFORMANCE_ROLE": "command"}
    began, server_s = time.perf_counter(), cpu_s(server)
    python_s, held = 0.0, list[float]()
    out = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=out, stderr=out) as process:
        while process.poll() is None:
            try:
                python = psutil.Process(process.pid)
                python_s = cpu_s(python)
                held.append(python.memory_info().rss / 1e6)
            except psutil.NoSuchProcess:
                continue  # it ends just now
            time.sleep(1)
    if process.returncode:
        raise RuntimeError(f"rebuild_figures ended with {process.returncode}")
    name = f"rebuild of {PULL_REQUESTS:,} pull requests"
    costs = {"CPU of Python, s": python_s, "CPU of PostgreSQL, s": cpu_s(server) - server_s}
    yield Measurement(name=name, value=time.perf_counter() - began, unit="s", beside=costs)
    early = max(held[: len(held) // 10 + 1])
    yield Measurement(name=f"{name}, memory", value=max(held), unit="MB", beside={"after a tenth, MB": early})


def make_teams() -> None:
    """A team of the organisation without members, and 50 of ten repositories and twenty members each."""
    from django.contrib.auth import get_user_model  # noqa: PLC0415  the settings come first

    from apps.activity.models import Change  # noqa: PLC0415
    from apps.teams.models import Team, TeamMember, TeamRepository  # noqa: PLC0415

    get_user_model().objects.create_superuser("operator")
    Team.objects.create(name="Acme", slug="acme", account_id=ORGANISATION, time_zone="America/New_York")
    each = REPOSITORIES // TEAMS
    for place in range(TEAMS):
        team = Team.objects.create(name=f"Team {place}", slug=f"team-{place}", time_zone="Europe/Berlin")
        TeamRepository.objects.bulk_create(
            TeamRepository(team=team, repository_id=1 + place * each + number) for number in range(each)
        )
        TeamMember.objects.bulk_create(
            TeamMember(team=team, contributor_id=1 + place * MEMBERS + number) for number in range(MEMBERS)
        )
    Change.objects.all().delete()


def answers() -> Iterator[Measurement]:
    """The dashboard of each team in turn, of the organisation, the same unchanged, and one changed pull request."""
    asking = Asking()
    of_teams = [f"/api/v1/teams/team-{place % TEAMS}/figures/?{DASHBOARD}" for place in range(ROUNDS)]
    yield from times("a team's dashboard, 12 weeks and compare", [asking.answer(address) for address in of_teams])
    of_all = "/api/v1/teams/acme/figures/?window=30d&compare=previous"
    yield from times("500 repositories, 30 days and compare", [asking.answer(of_all) for _ in range(FEW)])
    long = f"/api/v1/teams/acme/figures/?{DASHBOARD}"
    yield from times("500 repositories, 12 weeks and compare", [asking.answer(long) for _ in range(FEW)])
    for name, address in (("a team", of_teams[0]), ("500 repositories", of_all)):
        tag = asking.tag(address)
        yield from times(f"{name} unchanged (304)", [asking.answer(address, tag=tag) for _ in range(ROUNDS)])
    yield from times("one changed pull request", [change(number) for number in range(ROUNDS)])
    late = [deploy_late(repository) for repository in range(1, FEW + 1)]
    yield from times(f"a late deployment that re-dates {MERGES_OF_LATE // 2} pull requests", late)


def times(name: str, found: list[tuple[float, int]]) -> Iterator[Measurement]:
    """Return the 95th percentile of the times, and the most statements of any."""
    milliseconds = sorted(seconds * 1000 for seconds, _ in found)
    p95 = milliseconds[min(len(milliseconds) - 1, int(len(milliseconds) * 0.95))]
    beside = {"median, ms": statistics.median(milliseconds), "statements": max(count for _, count in found)}
    yield Measurement(name=f"{name}, p95", value=p95, unit="ms", beside=beside, rounds=tuple(milliseconds))


class Asking:
    """A client of the API who is signed in."""

    def __init__(self) -> None:
        from django.contrib.auth import get_user_model  # noqa: PLC0415
        from rest_framework.test import APIClient  # noqa: PLC0415

        self._client = APIClient(headers={"host": "localhost"})
        self._client.force_authenticate(get_user_model().objects.get(username="operator"))

    def answer(self, address: str, *, tag: str = "") -> tuple[float, int]:
        """Return the seconds until the answer was there, and the number of statements."""
        headers = {"if-none-match": tag} if tag else {}
        with counted() as spent:
            began = time.perf_counter()
            answer = self._client.get(address, headers=headers)
            seconds = time.perf_counter() - began
        if answer.status_code != (HTTPStatus.NOT_MODIFIED if tag else HTTPStatus.OK):
            sys.stderr.write(f"{answer.status_code}: {address}: {answer.content[:300]!r}\n")
        return seconds, len(spent)

    def tag(self, address: str) -> str:
        return str(self._client.get(address)["ETag"])


def change(number: int) -> tuple[float, int]:
    """Return the seconds of the recalculation of one pull request, and its statements."""
    from apps.activity.models import Change, PullRequest  # noqa: PLC0415
    from apps.metrics.recalculation import recalculate_batch  # noqa: PLC0415

    one = PullRequest.objects.order_by("pk")[number]
    Change.objects.create(kind="pull_request", key=f"{one.repository_id}:{one.number}")
    with counted() as spent:
        began = time.perf_counter()
        recalculate_batch(skipped=set())
        return time.perf_counter() - began, len(spent)


def deploy_late(repository: int) -> tuple[float, int]:
    """Return the seconds until a deployment that arrives late has re-dated half of the merges, and the statements."""
    deploy(repository, 1, MERGES_OF_LATE)
    recalculate()
    deploy(repository, MERGES_OF_LATE // 2 + 1)
    with counted() as spent:
        began = time.perf_counter()
        recalculate()
        return time.perf_counter() - began, len(spent)


def deploy(repository: int, *places: int) -> None:
    from apps.common import db  # noqa: PLC0415

    db.run(DEPLOY, {"repository": repository, "merges": MERGES_OF_LATE, "places": list(places)})


def recalculate() -> None:
    from apps.metrics.recalculation import drain  # noqa: PLC0415

    drain(seconds=600)

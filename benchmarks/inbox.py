"""An inbox of a million deliveries: how a day of bodies is dropped, and how long its pages, lists and figures take."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import django
import psycopg

from benchmarks.results import Measurement
from benchmarks.stack import stack

DELIVERIES, OF_OLD_DAY = 1_000_000, 100_000
REPOSITORIES, MEMBERS = 500, 200
YEARS = "3 years"
LONGEST_MS = 300

# Nothing comes through the receiver: what is measured here is how PostgreSQL finds rows and drops them.
ROWS = (
    f"""INSERT INTO activity_contributor (github_id, login, kind, stamp)
        SELECT i, 'account-' || i, CASE WHEN i < 3 THEN 'organization' ELSE 'user' END, ''
        FROM generate_series(1, {MEMBERS}) i""",
    """INSERT INTO activity_installation (github_id, account_id, stamp, suspension_stamp)
        SELECT i, i, '', '' FROM generate_series(1, 2) i""",
    f"""INSERT INTO activity_repository (github_id, full_name, owner_id, stamp)
        SELECT i, 'acme/' || i, CASE WHEN i <= {REPOSITORIES} THEN 1 ELSE 2 END, ''
        FROM generate_series(1, {REPOSITORIES} + 20) i""",
    f"""INSERT INTO webhooks_delivery (hook_id, guid, event, action, installation_id, repository_id, body_sha256, size,
            state, reason, received_at, finished_at)
        SELECT 7, gen_random_uuid(), (ARRAY['push', 'pull_request', 'check_run', 'workflow_job'])[1 + i % 4],
               (ARRAY['', 'opened', 'created', 'queued'])[1 + i % 4], 1 + (i % 1000 = 0)::int,
               CASE WHEN i % 1000 = 0 THEN {REPOSITORIES} + 1 + i / 1000 % 20 ELSE 1 + i % {REPOSITORIES} END,
               decode(md5(i::text), 'hex'), 4000,
               CASE WHEN i % 10 = 3 THEN 'ignored' WHEN i % 20000 = 1 THEN 'dead' ELSE 'processed' END,
               CASE WHEN i % 10 = 3 THEN 'not_handled' WHEN i % 20000 = 1 THEN 'crashed' ELSE '' END,
               CASE WHEN i <= {OF_OLD_DAY}
                    THEN date_trunc('day', now(), 'UTC') - interval '32 days' + i * interval '0.8 s'
                    ELSE now() - interval '30 days' + (i - {OF_OLD_DAY}) * interval '2.8 s' END,
               now()
        FROM generate_series(1, {DELIVERIES}) i""",
    """INSERT INTO webhooks_deliverybody (day, delivery_id, content, headers)
        SELECT (received_at AT TIME ZONE 'UTC')::date, id,
               CASE WHEN received_at < now() - interval '31 days'
                    THEN decode(repeat(md5(id::text), 256), 'hex')
                    ELSE sha512(id::text::bytea) END,
               '{"content-type": "application/json"}'
        FROM webhooks_delivery""",
)
FIGURES = (
    f"""INSERT INTO metrics_derivedpullrequest (repository_id, number, author_id, is_bot_author, opened_at,
            is_opened_as_draft, ready_at, is_first_commit_adjusted, first_review_at, review_wait_ended_at, merged_at,
            closed_at, draft_starts, draft_ends, is_draft, cycle_seconds, first_review_seconds, size, review_rounds,
            is_reviewed_in_draft, is_reopened, is_force_pushed, rules_version)
        SELECT 1 + i % {REPOSITORIES}, i, 1 + i % {MEMBERS}, false, at, i % 5 = 0, at, false, at + '1 h', at + '1 h',
               at + '1 d', at + '1 d',
               CASE WHEN i % 5 = 0 THEN ARRAY[at - interval '1 h'] ELSE ARRAY[]::timestamptz[] END,
               CASE WHEN i % 5 = 0 THEN ARRAY[at] ELSE ARRAY[]::timestamptz[] END, false, 86400 + i % 5000,
               3600 + i % 700, i % 900, 1, false, false, false, 1
        FROM generate_series(1, 100000) i, LATERAL (SELECT now() - i * interval '{YEARS}' / 100000 AS at) dated""",
    f"""INSERT INTO metrics_derivedreview (review_id, repository_id, number, reviewer_id, submitted_at, verdict,
            is_by_bot, is_by_author, rules_version)
        SELECT i, 1 + i % {REPOSITORIES}, i, 1 + i % {MEMBERS}, now() - i * interval '{YEARS}' / 200000, 'approved',
               false, false, 1
        FROM generate_series(1, 200000) i""",
    f"""INSERT INTO metrics_derivedcommit (repository_id, sha, author_id, author_login, is_by_bot, is_merge, landed_at,
            rules_version)
        SELECT 1 + i % {REPOSITORIES}, md5(i::text), 1 + i % {MEMBERS}, '', false, false,
               now() - i * interval '{YEARS}' / 300000, 1
        FROM generate_series(1, 300000) i""",
    f"""INSERT INTO metrics_deriveddeployment (repository_id, name, group_key, source, environment, service,
            is_production, job_name, deployment_ids, last_deployment_id, sha, created_at, succeeded_at, rules_version)
        SELECT 1 + i % {REPOSITORIES}, i || '#1', i::text, 'deployments', 'production', '',
               true, '', ARRAY[i], i, '', at, at, 1
        FROM generate_series(1, 20000) i, LATERAL (SELECT now() - i * interval '{YEARS}' / 20000 AS at) dated""",
)


def measure() -> Iterator[Measurement]:
    """Milliseconds of PostgreSQL for each page, list and figure; seconds, WAL and space of a day that is dropped."""
    with stack() as running:
        os.environ |= running.environment | {"DJANGO_SETTINGS_MODULE": "tformance.settings", "TFORMANCE_ROLE": "web"}
        django.setup()
        with psycopg.connect(running.environment["DATABASE_URL"], autocommit=True) as connection:
            fill(connection)
            team = make_team()
            for name, address, user in addresses(connection, team=team):
                yield Measurement(name=name, value=milliseconds(address, user=user), unit="ms")
            yield from dropped_day(connection)


def fill(connection: psycopg.Connection[Any]) -> None:
    from apps.webhooks.retention import create_days  # noqa: PLC0415  the settings come first

    for ago in (32, 24, 16, 8):
        create_days(today=datetime.now(UTC).date() - timedelta(days=ago))
    for statement in (*ROWS, *FIGURES):
        connection.execute(statement)
    connection.execute("VACUUM ANALYZE")


def make_team() -> Any:
    """A team of all repositories of one account, with members; one person sees it, and one only a small one."""
    from django.contrib.auth import get_user_model  # noqa: PLC0415

    from apps.teams.models import Team, TeamAccess, TeamMember  # noqa: PLC0415

    users = get_user_model().objects
    users.create_superuser("operator")
    large = Team.objects.create(name="Large", slug="large", account_id=1)
    small = Team.objects.create(name="Small", slug="small", account_id=2)
    for person, team in (("large", large), ("small", small)):
        TeamAccess.objects.create(user=users.create_user(person), team=team)
    TeamMember.objects.bulk_create(TeamMember(team=large, contributor_id=one) for one in range(1, MEMBERS + 1))
    return large


def addresses(connection: psycopg.Connection[Any], *, team: Any) -> Iterator[tuple[str, str, str]]:
    """What is asked for, where, and by whom."""
    sought = "SELECT guid, received_at::date FROM webhooks_delivery ORDER BY id OFFSET 500000 LIMIT 1"
    guid, day = connection.execute(sought).fetchone() or (None, None)
    narrow = f"received_after={day}T00:00:00Z&received_before={day}T06:00:00Z"
    for user in ("operator", "large", "small"):
        yield f"front page, {user}", "/", user
        for name, parameters in {
            "": "",
            "of an event": "event=check_run",
            "of an event that never came": "event=gollum",
            "of an action that never came": "action=nothing",
            "of a GUID": f"guid={guid}",
            "of an installation": "installation=2",
            "of an installation that is not here": "installation=99",
            "of six hours long ago": narrow,
            "of the older half": f"received_before={day}T00:00:00Z",
            "that are dead": "state=dead",
            "of a reason": "reason=crashed",
        }.items():
            yield f"API deliveries {name}, {user}", f"/api/v1/deliveries/?{parameters}", user
    admin = "/admin/webhooks/delivery/"
    for parameters in (
        "", "state__exact=dead", "state__exact=processed", "state__exact=received", "source__exact=1", "event=gollum",
        "event=push", "reason=crashed", "is_conflict__exact=1", "is_conflict__exact=0", "is_replayed_body__exact=1",
        "is_sanitised__exact=1", f"q={guid}", "q=1", "q=gollum",
    ):  # fmt: skip
        yield f"admin {parameters}", f"{admin}?{parameters}", "operator"
    today = datetime.now(UTC).date()
    window = f"from={today - timedelta(days=3 * 365 - 5)}&to={today}"
    yield "figures over three years", f"/api/v1/teams/{team.slug}/figures/?{window}", "large"
    yield "page over three years", f"/?team={team.slug}&{window}", "large"


def milliseconds(address: str, *, user: str) -> float:
    """Return how long PostgreSQL took for all statements of one answer, the second time."""
    from django.contrib.auth import get_user_model  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415

    client = Client(headers={"host": "localhost"}, raise_request_exception=False)
    client.force_login(get_user_model().objects.get(username=user), backend="django.contrib.auth.backends.ModelBackend")
    for _ in range(2):
        with counted() as spent:
            status = client.get(address).status_code
        slowest = max(spent, default=(0.0, ""))
    total = sum(seconds for seconds, _ in spent) * 1000
    if status != HTTPStatus.OK or total > LONGEST_MS:
        sys.stderr.write(f"{status}, {total:.0f} ms: {address} of {user}. The slowest statement: {slowest}\n")
    return total


@contextmanager
def counted() -> Iterator[list[tuple[float, str]]]:
    from django.db import connection  # noqa: PLC0415

    spent: list[tuple[float, str]] = []

    def count(execute: Callable[..., Any], statement: str, *rest: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(statement, *rest)
        finally:
            spent.append((time.perf_counter() - began, statement))

    with connection.execute_wrapper(count):
        yield spent


def dropped_day(connection: psycopg.Connection[Any]) -> Iterator[Measurement]:
    from apps.webhooks.retention import prune_bodies  # noqa: PLC0415

    def look() -> tuple[Any, int]:
        connection.execute("CHECKPOINT")
        found = connection.execute("SELECT pg_current_wal_lsn(), pg_database_size(current_database())").fetchone()
        return found or (None, 0)

    before, size = look()
    began = time.perf_counter()
    expired = prune_bodies()
    seconds = time.perf_counter() - began
    wal = connection.execute("SELECT pg_current_wal_lsn() - %s::pg_lsn", [before]).fetchone() or (0,)
    sys.stderr.write(f"{expired}\n")
    yield Measurement(name="a day of 100,000 bodies dropped", value=seconds, unit="s")
    yield Measurement(name="… WAL", value=float(wal[0]) / 1e6, unit="MB")
    yield Measurement(name="… space returned", value=(size - look()[1]) / 1e6, unit="MB")

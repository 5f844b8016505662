"""Every page for people among 100,000 pull requests: CPU of its process and of PostgreSQL, queries and size."""

import gc
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import django
import psutil
import psycopg

from benchmarks.costs import cpu_s
from benchmarks.figures import AT_ONCE, REPOSITORIES, fill, make_teams
from benchmarks.inbox import counted
from benchmarks.results import Measurement
from benchmarks.stack import stack

PULL_REQUESTS, DELIVERIES = 100_000, 100_000
ROUNDS = 5
MOST_MS, MOST_QUERIES, MOST_KB = 200, 12, 150
SECTIONS = ("overview", "flow", "review", "delivery", "ci", "ai")

# Pushes to every pull request beside its other facts, an inbox, and the jobs that loaded it all.
ROWS = (
    """INSERT INTO activity_pullrequestevent (repository_id, number, kind, subject, at, actor_id, source)
        SELECT repository_id, number, 'head_moved', md5(number || '-' || part), created_at + part * interval '1 h',
               author_id, 'webhook'
        FROM activity_pullrequest, generate_series(1, 3) part""",
    f"""INSERT INTO webhooks_delivery (hook_id, guid, event, action, installation_id, repository_id, body_sha256, size,
            state, reason, error, received_at, finished_at)
        SELECT 7, gen_random_uuid(), (ARRAY['push', 'pull_request', 'check_run', 'workflow_job'])[1 + i % 4],
               (ARRAY['', 'opened', 'created', 'queued'])[1 + i % 4], 1, 1 + i % {REPOSITORIES},
               decode(md5(i::text), 'hex'), 4000, CASE WHEN i % 200 = 1 THEN 'dead' ELSE 'processed' END,
               CASE WHEN i % 200 = 1 THEN 'crashed' ELSE '' END, CASE WHEN i % 200 = 1 THEN 'boom' ELSE '' END,
               now() - ({DELIVERIES} - i) * interval '20 s', now()
        FROM generate_series(1, {DELIVERIES}) i""",
    f"""WITH job AS (
            INSERT INTO jobs_job (kind, key, installation_id, priority, state, reason, skipped, finished_at)
            SELECT 'read_stream', i || '/' || stream, 1, 2, CASE WHEN i % 50 = 1 THEN 'failed' ELSE 'done' END,
                   CASE WHEN i % 50 = 1 THEN 'crashed' ELSE '' END, '[]', now()
            FROM generate_series(1, {REPOSITORIES}) i,
                 unnest(ARRAY['pull_requests', 'commits', 'deployments', 'issues', 'workflow_runs', 'releases']) stream
            RETURNING id, key)
        INSERT INTO integrations_backfill (job_ptr_id, repository_id, stream)
        SELECT id, split_part(key, '/', 1)::bigint, split_part(key, '/', 2) FROM job""",
)


def measure() -> Iterator[Measurement]:
    """Milliseconds of CPU of each page; PostgreSQL's part, queries and kilobytes."""
    with stack() as running:
        os.environ |= running.environment | {"DJANGO_SETTINGS_MODULE": "tformance.settings", "TFORMANCE_ROLE": "web"}
        django.setup()
        with psycopg.connect(running.environment["DATABASE_URL"], autocommit=True) as connection:
            fill(connection, pull_requests=PULL_REQUESTS, more=ROWS)
            running.manage("rebuild_figures", "--at-once", str(AT_ONCE))
            connection.execute("VACUUM ANALYZE")
            server = psutil.Process(connection.info.backend_pid).parent()
        make_teams()
        reader = Reader(server)
        for name, address in addresses():
            yield reader.measure(name, address)


def addresses() -> Iterator[tuple[str, str]]:
    """The pages of a team and of the whole organisation, of what they lead to, and of operators."""
    from apps.activity.models import PullRequest  # noqa: PLC0415  the settings come first
    from apps.metrics.models import DerivedDeployment  # noqa: PLC0415
    from apps.webhooks.models import Delivery  # noqa: PLC0415

    today = datetime.now(UTC).date()
    year = f"from={today - timedelta(days=364)}&to={today + timedelta(days=1)}"
    yield "overview", "/"
    yield "overview, sorted", "/?sort=-cycle_time"
    yield "overview, a year", f"/?{year}"
    for team in ("team-1", "acme"):
        for section in SECTIONS:
            own = "" if section == "overview" else f"&section={section}"
            yield f"{team}, {section}", f"/teams/{team}/?window=90d{own}"
        yield f"{team}, a year", f"/teams/{team}/?{year}"
        for key in ("cycle_time", "commits", "lead_time"):
            yield f"{team}, list of {key}", f"/teams/{team}/figures/{key}/?{year}"
        yield (
            f"{team}, list sorted and searched",
            f"/teams/{team}/figures/cycle_time/?{year}&ordering=-value&search=Change",
        )
        yield f"{team}, list of what is left out", f"/teams/{team}/figures/cycle_time/?{year}&excluded=bot"
        yield f"{team}, last page of a list", f"/teams/{team}/figures/cycle_time/?{year}&page=9999"
        yield f"{team}, now", f"/now/?team={team}"
        yield f"{team}, everything waiting", f"/now/?team={team}&show=all"
        yield f"{team}, changes", f"/teams/{team}/changes/"
        yield f"{team}, digest", f"/teams/{team}/digest/"
        yield f"{team}, digest, stuck", f"/teams/{team}/digest/stuck/"
        yield f"{team}, notifications", f"/teams/{team}/notifications/"
        yield f"{team}, people", f"/people/?team={team}"
    yield "now, all teams", "/now/"
    found = PullRequest.objects.filter(merged_at__isnull=False).order_by("-number")[PULL_REQUESTS // 3]
    for part in ("overview", "sources", "figures"):
        yield f"pull request, {part}", f"/pull-requests/{found.pk}/?show={part}"
    deployment = DerivedDeployment.objects.filter(is_production=True).order_by("pk")[PULL_REQUESTS // 100]
    yield "deployment", f"/deployments/{deployment.pk}/"
    yield "users", "/people/users/"
    for name, address in {
        "inbox": "deliveries/",
        "inbox, of a repository": "deliveries/?repository=acme/7",
        "inbox, dead": "deliveries/?state=dead",
        "delivery": f"deliveries/{Delivery.objects.latest('pk').pk}/",
        "jobs": "jobs/",
        "jobs, failed": "jobs/?show=failed",
        "start of jobs": "jobs/start/",
        "reconciliation": "reconciliation/",
        "completeness": "reconciliation/repositories/",
        "health": "health/",
    }.items():
        yield name, f"/operations/{address}"
    for name in ("setup", "setup/production", "notes", "notifications", "account", "api/v1/docs"):
        yield name, f"/{name}/"


class Reader:
    """Somebody who opens pages, signed in."""

    def __init__(self, server: Any) -> None:
        from django.contrib.auth import get_user_model  # noqa: PLC0415
        from django.test import Client  # noqa: PLC0415

        self._server = server
        self._client = Client(headers={"host": "localhost"}, raise_request_exception=False)
        operator = get_user_model().objects.get(username="operator")
        self._client.force_login(operator, backend="django.contrib.auth.backends.ModelBackend")
        gc.freeze()  # as the web process does

    def measure(self, name: str, address: str) -> Measurement:
        """Measure a page that was opened twice before; what is over a limit goes to standard error."""
        for _ in range(2):
            with counted() as spent:
                answer = self._client.get(address)
        if answer.status_code != HTTPStatus.OK:
            sys.stderr.write(f"{answer.status_code}: {address}\n")
        ours, theirs = time.process_time(), cpu_s(self._server)
        for _ in range(ROUNDS):
            self._client.get(address)
        server_ms = (cpu_s(self._server) - theirs) / ROUNDS * 1000
        total_ms = (time.process_time() - ours) / ROUNDS * 1000 + server_ms
        size_kb = len(answer.content) / 1000
        if total_ms > MOST_MS or len(spent) > MOST_QUERIES or size_kb > MOST_KB:
            slowest = max(spent, default=(0.0, ""))
            sys.stderr.write(f"{total_ms:.0f} ms, {len(spent)} queries, {size_kb:.0f} kB: {address}. {slowest}\n")
        beside = {"of it PostgreSQL, ms": server_ms, "queries": len(spent), "kB": size_kb}
        return Measurement(name=f"page, {name}", value=total_ms, unit="ms", beside=beside)

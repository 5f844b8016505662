"""Two accounts that know nothing of each other, and people of every kind."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core.cache import cache
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from apps.activity.models import (
    Contributor,
    Installation,
    ReportedDeployment,
    ReportedIncident,
    Repository,
    RepositoryAccess,
)
from apps.github.auth import github
from apps.integrations.backfill.start import Scope, start
from apps.integrations.listed_installations import open_listings
from apps.integrations.models import Backfill, Drift, DriftedEntity, SyncLog
from apps.jobs.models import Job
from apps.metrics.recalculation import drain
from apps.teams.models import Team, TeamAccess, TeamMember
from apps.users.models import ApiToken, CustomUser
from apps.webhooks.models import Delivery, DeliveryBody
from tests.fake_github.generated import Size
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, BETA, forget_everything
from tests.integrations.backfill.installed import install, reach, verification
from tests.metrics import fixture_a
from tests.metrics.steps import API, PullRequestSteps, Step, person, record_facts
from tests.shared_rows import shared_rows

UMBRELLA, SECRETS = 800, 801


@dataclass
class Cast:
    """Who signs in: `viewer` and `admin` of team acme, `stranger` of umbrella, `operator` of the instance."""

    teams: dict[str, Team]
    viewer: CustomUser
    admin: CustomUser
    stranger: CustomUser
    operator: CustomUser
    secrets: dict[CustomUser, str] = field(default_factory=dict)

    def client(self, user: CustomUser) -> APIClient:
        """The API as that user's program uses it."""
        if user not in self.secrets:
            _, self.secrets[user] = ApiToken.objects.issue(user=user)
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {self.secrets[user]}")
        return client


@pytest.fixture(autouse=True)
def fresh_throttles() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
@shared_rows
def cast(db: None) -> Cast:
    teams = fixture_a.make_teams()
    teams["umbrella"] = Team.objects.create(name="Umbrella", slug="umbrella", account=make_umbrella())
    users = {name: CustomUser.objects.create_user(name) for name in ("viewer", "admin", "stranger")}
    TeamAccess.objects.create(team=teams["acme"], user=users["viewer"])
    TeamAccess.objects.create(team=teams["acme"], user=users["admin"], role=TeamAccess.Role.ADMIN)
    TeamAccess.objects.create(team=teams["umbrella"], user=users["stranger"], role=TeamAccess.Role.ADMIN)
    operator = CustomUser.objects.create_superuser("operator")
    return Cast(teams=teams, operator=operator, **users)


@pytest.fixture
@shared_rows
def week(cast: Cast) -> Cast:
    """The cast, after the week of fixture A."""
    record_at_once(fixture_a.steps())
    return cast


def record_at_once(steps: list[Step]) -> None:
    """Record the steps as one delivery, which comes to the same."""
    record_facts(*(fact for step in steps for fact in step))
    assert drain(seconds=60)


def make_umbrella() -> Contributor:
    umbrella = Contributor.objects.create(github_id=UMBRELLA, login="umbrella", kind="organization")
    Repository.objects.create(github_id=SECRETS, full_name="umbrella/secrets", owner=umbrella)
    return umbrella


def make_delivery(number: int, *, repository_id: int | None = API, **columns: Any) -> Delivery:
    """A stored delivery with its body."""
    values: dict[str, Any] = {"event": "pull_request", "action": "opened", "state": "received"} | columns
    delivery = Delivery.objects.create(
        hook_id=7, guid=UUID(int=number), repository_id=repository_id, body_sha256=bytes(32), size=15, **values
    )
    DeliveryBody.objects.create(delivery=delivery, content=b'{"zen": "\xc3\xbc"}', headers={"x-github-event": "ping"})
    return delivery


def make_backfill(repository_id: int = API, **columns: Any) -> Backfill:
    """The walk through the pull requests of a repository that the account of its owner reaches."""
    repository = Repository.objects.get(pk=repository_id)
    installation, _ = Installation.objects.get_or_create(
        github_id=repository_id + 1000, defaults={"account_id": repository.owner_id}
    )
    RepositoryAccess.objects.update_or_create(
        installation=installation, repository=repository, defaults={"has_access": True}
    )
    scope = Scope(streams=("pull_requests",))
    [backfill] = start(Repository.objects.filter(pk=repository_id), scope=scope).backfills
    if columns:
        Backfill.objects.filter(pk=backfill.pk).update(**columns)
        backfill.refresh_from_db()
    return backfill


def make_report(repository_id: int = API) -> None:
    """Reports of a deployment and of an incident."""
    ReportedIncident.objects.create(repository_id=repository_id, external_id="1", opened_at=timezone.now())
    ReportedDeployment.objects.create(
        repository_id=repository_id, external_id="1", finished_at=timezone.now(), state="success"
    )


def make_drift(repository_id: int = API, **columns: Any) -> Drift:
    """What a run found of the pull requests of a repository, and which one was missing."""
    run = SyncLog.objects.create(sync_id=f"manual:{SyncLog.objects.count()}", cause="manual")
    sync = verification(run, repository_id)
    values: dict[str, Any] = {"stream": "pull_requests", "checked": 40, "missing": 1, "repaired": 1} | columns
    key = f"{repository_id}:1"
    DriftedEntity.objects.create(
        repository_sync=sync, stream=values["stream"], entity="pull_request", key=key, finding="missing"
    )
    return Drift.objects.create(repository_sync=sync, recovery_sources={"reconciliation": 1}, **values)


def make_sync(sync_id: str, *repository_ids: int, **columns: Any) -> SyncLog:
    """A run in which these repositories wait to be compared."""
    run = SyncLog.objects.create(sync_id=sync_id, cause=columns.pop("cause", "nightly"), **columns)
    for repository_id in repository_ids:
        verification(run, repository_id)
    return run


def make_members(team: Team, *logins: str) -> list[TeamMember]:
    return [TeamMember.objects.create(team=team, contributor=Contributor.objects.get(login=login)) for login in logins]


__all__ = [
    "API",
    "SECRETS",
    "Cast",
    "PullRequestSteps",
    "make_backfill",
    "make_delivery",
    "make_members",
    "make_sync",
    "record_at_once",
]


@pytest.fixture
def reached(cast: Cast, settings: Any) -> Cast:
    """The cast, with an App that reaches the repository of acme."""
    settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()
    install(account_id=person("acme"))
    reach("acme/api", API, owner_id=person("acme"))
    return cast


@pytest.fixture
def with_umbrella(reached: Cast) -> Cast:
    """As that, with another that reaches umbrella's."""
    install(BETA, login="umbrella", account_id=UMBRELLA)
    reach("umbrella/secrets", SECRETS, installation_id=BETA, owner_id=UMBRELLA)
    return reached


@pytest.fixture
def connected(reached: Cast, settings: Any) -> Iterator[Cast]:
    """As that, with a GitHub that answers."""
    forget_everything()
    with FakeGitHub() as fake:
        fake.world.install(ACME)
        fake.world.add("api", installation_id=ACME, repository_id=API, size=Size(pull_requests=30, issues=12, runs=5))
        settings.GITHUB_API_URL = fake.url
        github.cache_clear()
        yield reached
    github.cache_clear()
    forget_everything()


@pytest.fixture
def jobs(cast: Cast) -> dict[str, int]:
    """Four jobs: one of acme waits, one of umbrella failed, an installation is to be listed, a log is scanned."""
    waiting, failed = make_backfill(), make_backfill(SECRETS)
    read_so_far = {"items": 5, "total": 20, "calls": 4, "points": 3}
    Job.objects.filter(pk=waiting.pk).put_off(after=timedelta(minutes=30), reason="spent", **read_so_far)
    Job.objects.filter(pk=failed.pk).end(Job.State.FAILED, reason="forbidden", error="Resource not accessible")
    open_listings([waiting.installation_id])
    scan = Job.objects.create(kind="scan_delivery_log", key="11", priority=1, reason="app_refused")
    listing = Job.objects.get(kind="list_installation")
    return {"waiting": waiting.pk, "failed": failed.pk, "listing": listing.pk, "scan": scan.pk}


@pytest.fixture
@shared_rows
def many_jobs(cast: Cast) -> None:
    """20,000 jobs that are done, and few others."""
    Repository.objects.bulk_create(Repository(github_id=key, full_name=f"umbrella/{key}") for key in range(5000, 7000))
    Installation.objects.bulk_create(Installation(github_id=key) for key in range(5000, 5200))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH job AS (
                INSERT INTO jobs_job (kind, key, installation_id, priority, state, reason, skipped, finished_at)
                SELECT 'read_stream', (5000 + i % 2000) || '/' || i, 5000 + i % 200, 2,
                    CASE WHEN i % 500 = 1 THEN 'failed' ELSE 'done' END,
                    CASE WHEN i % 500 = 1 THEN 'crashed' ELSE '' END, '[]', now()
                FROM generate_series(1, 20000) AS i RETURNING id, key)
            INSERT INTO integrations_backfill (job_ptr_id, repository_id, stream)
            SELECT id, split_part(key, '/', 1)::bigint, split_part(key, '/', 2) FROM job
            """
        )

"""What beat asks every few seconds goes by indexes, however many runs there were."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from apps.integrations.models import RepositorySync, SyncLog, TeamSync
from apps.integrations.reconciliation import results, schedule
from apps.integrations.reconciliation.fan_out import verify_each
from apps.teams.models import Team
from tests.fake_github.using import ACME, API
from tests.integrations.reconciliation.runs.conftest import MONDAY_NIGHT
from tests.plans import explaining

pytestmark = pytest.mark.django_db
RUNS = 3000
TABLES = ("integrations_synclog", "integrations_repositorysync", "integrations_teamsync", "jobs_job")


@pytest.fixture
def past(acme: Team) -> None:
    """Thousands of runs that are over, and one that goes on."""
    at = timezone.now() - timedelta(days=1)
    runs = SyncLog.objects.bulk_create(
        SyncLog(sync_id=f"old {number}", cause="nightly", scope="nightly", status="completed", finished_at=at)
        for number in range(RUNS)
    )
    TeamSync.objects.bulk_create(
        TeamSync(sync=run, team=acme, repository_ids=[API], status="success", finished_at=at) for run in runs
    )
    for run in runs:
        verify_each(run.pk, {API: ACME})
    RepositorySync.objects.all().jobs.update(state="done", finished_at=at)
    schedule.open_due(now=MONDAY_NIGHT)


@pytest.mark.proof
def test_the_ticks_read_no_table_through(past: None) -> None:
    plans: list[str] = []
    with connection.execute_wrapper(explaining(plans)):
        schedule.enqueue_due()
        results.conclude()
        schedule.open_due(now=MONDAY_NIGHT)
    assert plans
    read_through = [plan for plan in plans for table in TABLES if f"Seq Scan on {table}" in plan]
    assert read_through == []

"""Old runs are deleted, and problems of runs are found."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.integrations import tasks
from apps.integrations.models import Drift, SyncLog, TeamSync
from apps.integrations.reconciliation.run_status import reconciliation_problems
from apps.integrations.reconciliation.schedule import start_for_team
from apps.monitoring.tasks import check_status
from apps.teams.models import Team
from tests.fake_github.using import API
from tests.integrations.backfill.installed import verification
from tests.integrations.reconciliation.runs.conftest import MONDAY_NIGHT
from tests.integrations.reconciliation.runs.crew import Crew, compare

pytestmark = pytest.mark.django_db
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def ended(name: str, *, days_ago: float, team: Team | None = None, status: str = "completed") -> SyncLog:
    """A run that ended then, with a part of the team, and a repository that drifted."""
    at = timezone.now() - DAY * days_ago
    scope = "nightly" if name.startswith("nightly") else "everything"
    about: dict[str, Any] = {"status": status, "finished_at": at}
    run = SyncLog.objects.create(sync_id=name, cause="nightly", scope=scope, created_at=at, **about)
    if team is not None:
        TeamSync.objects.create(sync=run, team=team, status="success", finished_at=at)
    row = verification(run, API, state="done", finished_at=at)
    Drift.objects.create(repository_sync=row, stream="issues")
    return run


def test_runs_are_deleted_after_90_days_except_the_last_of_each_team(acme: Team, zoo: Team) -> None:
    ended("a", days_ago=400, team=acme)
    ended("b", days_ago=300, team=zoo)
    ended("c", days_ago=200, team=acme)
    ended("nightly:d", days_ago=150)
    ended("nightly:e", days_ago=120)
    ended("f", days_ago=100)
    ended("g", days_ago=80)
    assert tasks.prune() == 3
    assert list(SyncLog.objects.order_by("pk").values_list("sync_id", flat=True)) == ["b", "c", "nightly:e", "g"]
    assert Drift.objects.count() == 4
    assert tasks.prune() == 0


def test_many_old_runs_are_deleted_at_once(acme: Team) -> None:
    for number in range(25):
        ended(f"old {number}", days_ago=100)
    assert tasks.prune() == 25


def test_a_new_instance_has_no_reconciliation_problem(acme: Team) -> None:
    Team.objects.note_sync(created_at=timezone.now() - HOUR)
    assert check_status() == []


def test_a_night_that_never_ran_is_a_problem(acme: Team) -> None:
    assert check_status() == ["reconciliation_is_late"]
    assert "Do beat and a worker run?" in reconciliation_problems()["reconciliation_is_late"]


def test_failed_nights_are_a_problem_after_26_hours(acme: Team) -> None:
    ended("nightly:1", days_ago=25 / 24)
    assert check_status() == []
    SyncLog.objects.update(finished_at=timezone.now() - 27 * HOUR)
    late = ended("nightly:2", days_ago=0, status="failed")
    SyncLog.objects.filter(pk=late.pk).update(error="1 of 3 repositories could not be compared.")
    assert "The last one failed: 1 of 3 repositories" in reconciliation_problems()["reconciliation_is_late"]


def test_no_night_is_late_if_there_is_nothing_to_compare(acme: Team, settings: Any) -> None:
    Team.objects.update(sync_frequency="off")
    assert check_status() == []
    Team.objects.update(sync_frequency="daily")
    settings.GITHUB_APP_ID = None
    assert check_status() == []


def test_a_run_without_progress_is_a_problem(acme: Team, crew: Crew) -> None:
    crew.beat(MONDAY_NIGHT)
    SyncLog.objects.update(not_before=timezone.now() - 11 * HOUR)
    assert check_status() == []
    SyncLog.objects.update(not_before=timezone.now() - 13 * HOUR)
    assert "nightly:2026-03-02" in reconciliation_problems()["reconciliation_is_stuck"]
    compare()
    crew.conclude()
    assert check_status() == []


def test_a_run_that_no_worker_claims_is_a_problem_soon(acme: Team) -> None:
    start_for_team(acme.pk)
    SyncLog.objects.update(not_before=timezone.now() - HOUR)
    assert "reconciliation_is_stuck" in check_status()


def test_a_run_that_waits_for_its_hour_is_not_stuck(acme: Team) -> None:
    Team.objects.filter(pk=acme.pk).note_sync(sync_frequency="hourly")
    Team.objects.note_sync(created_at=timezone.now())
    assert tasks.schedule_team_sync(acme.pk)
    assert check_status() == []

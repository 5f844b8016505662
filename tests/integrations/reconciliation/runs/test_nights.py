"""The night: opened once however many beats there are, made up once, claimed again, and found by indexes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from apps.activity.models import Installation
from apps.integrations import tasks
from apps.integrations.models import RepositorySync, SyncLog, TeamSync
from apps.integrations.reconciliation import fan_out, run_endings, schedule
from apps.integrations.reconciliation.fan_out import fan_out_run, fan_out_team, verify_each
from apps.teams.models import Team, TeamRepository
from tests.fake_github.using import ACME, API, BETA, WEB
from tests.integrations.backfill.installed import reach
from tests.integrations.backfill.workers import side_by_side
from tests.integrations.reconciliation.runs.conftest import MONDAY_NIGHT, OLD, ZOO, make_team
from tests.integrations.reconciliation.runs.run_workers import (
    REPOSITORIES,
    Workers,
    compare,
    expire_leases,
    forget_messages,
)
from tests.plans import explaining

pytestmark = pytest.mark.django_db
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


def names() -> list[str]:
    return list(SyncLog.objects.order_by("pk").values_list("sync_id", flat=True))


def rows() -> list[tuple[str, int, str]]:
    return list(RepositorySync.objects.order_by("pk").values_list("sync__sync_id", "repository", "state"))


def test_a_night_is_opened_when_it_has_begun_and_each_repository_gets_its_row(
    acme: Team, zoo: Team, workers: Workers
) -> None:
    workers.beat(MONDAY_NIGHT)
    night = SyncLog.objects.get()
    assert (night.sync_id, night.cause, night.status, night.is_fanned_out) == (
        "nightly:2026-03-02",
        "nightly",
        "running",
        True,
    )
    assert {(row.repository_id, row.installation_id, row.state) for row in RepositorySync.objects.all()} == {
        (API, ACME, "waiting"),
        (WEB, ACME, "waiting"),
        (ZOO, BETA, "waiting"),
    }
    assert workers.done["sync_github_data"] == 2
    assert workers.done[REPOSITORIES] >= 1


def test_three_beats_make_one_run(acme: Team, workers: Workers) -> None:
    assert [workers.beat(MONDAY_NIGHT + MINUTE * minutes) for minutes in range(3)] == [1, 0, 0]
    assert names() == ["nightly:2026-03-02"]
    assert len(rows()) == 2


@pytest.mark.django_db(transaction=True)
def test_beats_and_workers_at_the_very_same_time_make_one_run(acme: Team, workers: Workers) -> None:
    def beat(_: int) -> bool:
        try:
            schedule.open_due(now=MONDAY_NIGHT)
            return fan_out_run("nightly:2026-03-02")
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as beats:
        assert sum(beats.map(beat, range(6))) == 1
    workers.work()
    assert names() == ["nightly:2026-03-02"]
    assert [repository for _, repository, _ in rows()] == [API, WEB]
    assert TeamSync.objects.count() == 1


def test_a_night_that_is_over_is_not_opened_again(acme: Team, workers: Workers) -> None:
    workers.beat(MONDAY_NIGHT)
    compare()
    assert workers.conclude() == 1
    assert workers.beat(MONDAY_NIGHT + 20 * HOUR) == 0
    assert SyncLog.objects.count() == 1


def test_a_night_that_no_beat_saw_is_made_up_once(acme: Team, workers: Workers) -> None:
    workers.beat(MONDAY_NIGHT)
    compare()
    workers.conclude()
    late = MONDAY_NIGHT + DAY + 5 * HOUR
    assert (workers.beat(late), workers.beat(late + MINUTE)) == (1, 0)
    assert names() == ["nightly:2026-03-02", "nightly:2026-03-03"]


def test_the_last_of_several_missed_nights_makes_up_for_all(acme: Team, workers: Workers) -> None:
    workers.beat(MONDAY_NIGHT)
    compare()
    workers.conclude()
    workers.beat(MONDAY_NIGHT + 4 * DAY + 7 * HOUR)
    assert names() == ["nightly:2026-03-02", "nightly:2026-03-06"]


def test_a_new_instance_makes_up_for_no_night_before_it(acme: Team, workers: Workers) -> None:
    Team.objects.note_sync(created_at=MONDAY_NIGHT + HOUR)
    assert workers.beat(MONDAY_NIGHT + 2 * HOUR) == 0
    assert workers.beat(MONDAY_NIGHT + DAY) == 1
    assert names() == ["nightly:2026-03-03"]


def test_without_credentials_no_night_is_opened(acme: Team, workers: Workers, settings: Any) -> None:
    settings.GITHUB_APP_ID = None
    assert workers.beat(MONDAY_NIGHT) == 0
    assert tasks.sync_all_github_data() is False
    assert tasks.sync_github_data(acme.pk) is False
    assert not names()


def test_a_night_waits_for_the_one_before_it(acme: Team, workers: Workers) -> None:
    workers.beat(MONDAY_NIGHT)
    assert workers.beat(MONDAY_NIGHT + DAY) == 0
    compare()
    assert workers.conclude() == 1
    assert workers.beat(MONDAY_NIGHT + DAY + HOUR) == 1


def test_a_worker_that_dies_while_it_fans_out_does_not_lose_the_night(
    acme: Team, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule.open_due(now=MONDAY_NIGHT)

    def die(point: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(fan_out, "failpoint", die)
        with pytest.raises(KeyboardInterrupt):
            fan_out_run("nightly:2026-03-02")
    assert not TeamSync.objects.exists()
    workers.beat(MONDAY_NIGHT + MINUTE)
    assert [repository for _, repository, _ in rows()] == [API, WEB]


@pytest.mark.django_db(transaction=True)
def test_only_one_of_many_workers_fans_a_run_out(acme: Team, workers: Workers) -> None:
    schedule.open_due(now=MONDAY_NIGHT)
    assert sorted(side_by_side(*[lambda: fan_out_run("nightly:2026-03-02")] * 4)) == [False, False, False, True]
    assert TeamSync.objects.count() == 1


def test_a_team_run_whose_message_was_lost_is_notified_again(acme: Team, zoo: Team, workers: Workers) -> None:
    schedule.open_due(now=MONDAY_NIGHT)
    fan_out_run("nightly:2026-03-02")
    fan_out_team(zoo.pk, sync_id="nightly:2026-03-02")
    forget_messages()
    assert not SyncLog.objects.get().is_fanned_out
    workers.beat(MONDAY_NIGHT + MINUTE)
    assert not SyncLog.objects.get().is_fanned_out, "it was notified a moment ago"
    expire_leases()
    workers.beat(MONDAY_NIGHT + 2 * MINUTE)
    assert SyncLog.objects.get().is_fanned_out
    assert len(rows()) == 3


def test_fanning_out_twice_doubles_nothing(acme: Team, workers: Workers) -> None:
    workers.beat(MONDAY_NIGHT)
    SyncLog.objects.update(status="waiting", is_fanned_out=False)
    TeamSync.objects.update(status="waiting", notified_at=None)
    workers.beat(MONDAY_NIGHT + MINUTE)
    assert len(rows()) == 2
    assert (TeamSync.objects.count(), TeamSync.objects.get().status) == (1, "running")


def test_a_repository_that_two_teams_track_is_compared_once(acme: Team, zoo: Team, workers: Workers) -> None:
    TeamRepository.objects.create(team=zoo, repository_id=API)
    workers.beat(MONDAY_NIGHT)
    assert sorted(repository for _, repository, _ in rows()) == [API, WEB, ZOO]
    assert {part.team_id: part.repository_ids for part in TeamSync.objects.all()} == {
        acme.pk: [API, WEB],
        zoo.pk: [API, ZOO],
    }


def test_nothing_is_compared_for_a_team_that_waits_for_approval(acme: Team, zoo: Team, workers: Workers) -> None:
    Team.objects.filter(pk=zoo.pk).update(is_approved=False)
    workers.beat(MONDAY_NIGHT)
    assert [part.team_id for part in TeamSync.objects.all()] == [acme.pk]
    assert sorted(repository for _, repository, _ in rows()) == [API, WEB]


def test_a_repository_that_is_deleted_or_out_of_reach_has_no_row(acme: Team, workers: Workers) -> None:
    reach("acme/gone", 31, deleted_at=OLD)
    reach("acme/lost", 32, has_access=False)
    workers.beat(MONDAY_NIGHT)
    assert [repository for _, repository, _ in rows()] == [API, WEB]


def test_the_night_has_every_installation_listed_suspended_ones_too(acme: Team, zoo: Team, workers: Workers) -> None:
    Installation.objects.filter(pk=BETA).update(suspended_at=OLD)
    Installation.objects.create(github_id=99, account=None)
    workers.beat(MONDAY_NIGHT)
    listed = Installation.objects.filter(needs_listing_at__isnull=False).values_list("pk", flat=True)
    assert sorted(listed) == [ACME, BETA]


def test_the_night_can_be_begun_by_its_name(acme: Team, workers: Workers) -> None:
    assert tasks.sync_all_github_data() is True
    assert tasks.sync_all_github_data() is False
    workers.work()
    assert SyncLog.objects.get().sync_id == f"nightly:{schedule.due_night(schedule.database_time()).key}"
    assert len(rows()) == 2


def test_a_night_that_takes_a_day_gives_up_so_that_the_next_may_begin(acme: Team, workers: Workers) -> None:
    workers.beat(MONDAY_NIGHT)
    compare("acme/api")
    SyncLog.objects.update(not_before=schedule.database_time() - 23 * HOUR)
    assert run_endings.give_up_old() == 0
    SyncLog.objects.update(not_before=schedule.database_time() - 25 * HOUR)
    assert workers.conclude() == 1
    night = SyncLog.objects.get()
    assert (night.status, night.error) == ("failed", "1 of 2 repositories could not be compared.")
    acme.refresh_from_db()
    assert "acme/web (It was not compared within 24 hours" in acme.last_sync_error
    assert run_endings.give_up_old() == 0


def test_a_run_that_was_never_fanned_out_is_given_up_too(acme: Team, workers: Workers) -> None:
    schedule.open_due(now=MONDAY_NIGHT)
    SyncLog.objects.update(not_before=schedule.database_time() - 25 * HOUR)
    assert workers.conclude() == 1
    run = SyncLog.objects.get()
    assert (run.status, run.error) == ("failed", run_endings.TOO_LONG)


def test_a_team_that_tracks_nothing_does_not_block_the_night(acme: Team, workers: Workers) -> None:
    make_team("new")
    workers.beat(MONDAY_NIGHT)
    compare()
    assert workers.conclude() == 1
    assert SyncLog.objects.get().status == "completed"


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
def test_periodic_tasks_use_indexes(past: None) -> None:
    plans: list[str] = []
    with connection.execute_wrapper(explaining(plans)):
        schedule.enqueue_due()
        run_endings.conclude()
        schedule.open_due(now=MONDAY_NIGHT)
    assert plans
    read_through = [plan for plan in plans for table in TABLES if f"Seq Scan on {table}" in plan]
    assert read_through == []

"""How often a team's repositories are compared by themselves, and which period is due at a time."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.db import connection

from apps.integrations import tasks
from apps.integrations.models import RepositorySync, SyncLog, TeamSync
from apps.integrations.reconciliation import schedule
from apps.integrations.reconciliation.fan_out import fan_out_run
from apps.integrations.reconciliation.schedule import due_hour, due_night, is_of_night, next_hour, start_for_team
from apps.teams.models import Team
from tests.fake_github.using import API, WEB
from tests.integrations.reconciliation.runs.conftest import MONDAY_NIGHT, ZOO
from tests.integrations.reconciliation.runs.run_workers import Workers, compare

pytestmark = pytest.mark.django_db
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
AFTERNOON = MONDAY_NIGHT + 11 * HOUR


def set_frequency(team: Team, frequency: str) -> None:
    Team.objects.filter(pk=team.pk).update(sync_frequency=frequency)


def now_or_soon() -> datetime:
    """The database's time; an hour later if the night begins with the next hour, which then has no run of its own."""
    now = schedule.database_time()
    return now + HOUR if is_of_night(next_hour(now)) else now


def names() -> list[str]:
    return list(SyncLog.objects.order_by("pk").values_list("sync_id", flat=True))


@pytest.fixture
def after_the_night(acme: Team, zoo: Team, workers: Workers) -> Workers:
    """The night is over."""
    workers.beat(MONDAY_NIGHT)
    compare()
    assert workers.conclude() == 1
    return workers


def test_a_daily_team_takes_part_in_the_night_alone(after_the_night: Workers) -> None:
    assert after_the_night.beat(AFTERNOON) == 0
    assert names() == ["nightly:2026-03-02"]


@pytest.mark.proof
def test_an_hourly_team_has_a_run_each_full_hour_and_takes_part_in_the_night(
    acme: Team, zoo: Team, workers: Workers
) -> None:
    set_frequency(acme, "hourly")
    for hour in range(4):
        workers.beat(MONDAY_NIGHT + HOUR * hour)
        workers.beat(MONDAY_NIGHT + HOUR * hour + 30 * MINUTE)
        compare()
        workers.conclude()
        workers.beat(MONDAY_NIGHT + HOUR * hour + 31 * MINUTE)
    assert names() == [
        "nightly:2026-03-02",
        "team:acme:2026-03-02T03",
        "team:acme:2026-03-02T04",
        "team:acme:2026-03-02T05",
        "team:acme:2026-03-02T06",
    ]
    run = SyncLog.objects.get(sync_id="team:acme:2026-03-02T05")
    assert (run.cause, run.team, run.status) == ("scheduled", acme, "completed")
    assert sorted(run.repositories.values_list("repository", flat=True)) == [API, WEB]
    assert [part.team for part in run.teams.all()] == [acme]


@pytest.mark.proof
def test_hours_that_were_missed_are_made_up_once(acme: Team, after_the_night: Workers) -> None:
    set_frequency(acme, "hourly")
    assert after_the_night.beat(AFTERNOON + 17 * MINUTE) == 1
    assert after_the_night.beat(AFTERNOON + 5 * HOUR) == 0, "the run of 14:00 is still to be claimed"
    compare()
    after_the_night.conclude()
    assert after_the_night.beat(AFTERNOON + 5 * HOUR + MINUTE) == 1
    assert names()[1:] == ["team:acme:2026-03-02T14", "team:acme:2026-03-02T19"]


def test_a_run_waits_for_its_hour(acme: Team, workers: Workers) -> None:
    set_frequency(acme, "hourly")
    now = now_or_soon()
    sync_id = schedule.schedule_team(acme.pk, now=now)
    workers.beat()
    run = SyncLog.objects.get(sync_id=sync_id)
    assert (run.status, run.cause, run.team) == ("waiting", "scheduled", acme)
    assert run.not_before.minute == 0
    assert timedelta(0) < run.not_before - now <= HOUR
    assert fan_out_run(run.sync_id) is False, "nobody claims it before its hour"


def test_a_night_that_is_made_up_stands_for_the_hour(acme: Team, zoo: Team, workers: Workers) -> None:
    set_frequency(acme, "hourly")
    assert workers.beat(AFTERNOON) == 1
    assert workers.beat(AFTERNOON + MINUTE) == 0, "the team takes part in the night"
    assert names() == ["nightly:2026-03-02"]
    compare()
    workers.conclude()
    assert workers.beat(AFTERNOON + 2 * MINUTE) == 1


def test_the_hour_in_which_the_night_begins_has_no_run_of_its_own(acme: Team, after_the_night: Workers) -> None:
    set_frequency(acme, "hourly")
    assert after_the_night.beat(MONDAY_NIGHT + 23 * HOUR + 10 * MINUTE) == 0
    assert schedule.schedule_team(acme.pk, now=MONDAY_NIGHT + 23 * HOUR) == "nightly:2026-03-03"


@pytest.mark.parametrize(
    ("frequency", "is_approved", "next_run"),
    [
        ("hourly", True, "team:acme:2026-03-02T14"),
        ("daily", True, "nightly:2026-03-03"),
        ("off", True, None),
        ("hourly", False, None),
    ],
)
def test_a_team_is_scheduled_as_often_as_its_frequency_says(
    acme: Team, frequency: str, is_approved: bool, next_run: str | None
) -> None:
    Team.objects.filter(pk=acme.pk).update(sync_frequency=frequency, is_approved=is_approved)
    assert [schedule.schedule_team(acme.pk, now=AFTERNOON) for _ in range(2)] == [next_run] * 2
    assert names() == ([next_run] if next_run and next_run.startswith("team") else [])


def test_a_team_that_is_switched_off_before_its_hour_is_not_compared(acme: Team, workers: Workers) -> None:
    set_frequency(acme, "hourly")
    schedule.schedule_team(acme.pk, now=AFTERNOON)
    set_frequency(acme, "off")
    workers.beat(AFTERNOON + HOUR)
    workers.conclude()
    run = SyncLog.objects.get()
    assert (run.status, run.teams.count(), run.repositories.count()) == ("completed", 0, 0)


def test_a_manual_start_begins_the_run_of_the_next_hour_now(acme: Team, workers: Workers) -> None:
    set_frequency(acme, "hourly")
    sync_id = schedule.schedule_team(acme.pk, now=now_or_soon())
    set_frequency(acme, "off")
    started = start_for_team(acme.pk)
    assert (started.sync.sync_id, started.sync.cause, started.is_new) == (sync_id, "manual", True)
    assert start_for_team(acme.pk).is_new is False
    assert fan_out_run(started.sync.sync_id) is True
    assert [part.team for part in TeamSync.objects.all()] == [acme]


def test_a_team_that_is_switched_off_is_not_compared(acme: Team, zoo: Team, workers: Workers) -> None:
    set_frequency(acme, "off")
    workers.beat(MONDAY_NIGHT)
    workers.beat(AFTERNOON)
    assert list(RepositorySync.objects.values_list("repository", flat=True)) == [ZOO]
    set_frequency(zoo, "off")
    compare()
    workers.conclude()
    assert workers.beat(MONDAY_NIGHT + timedelta(days=1)) == 0, "there is nobody to compare for"


def test_a_team_is_compared_on_request(acme: Team, zoo: Team, workers: Workers) -> None:
    set_frequency(acme, "off")
    tasks.sync_github_data(acme.pk)
    run = SyncLog.objects.get()
    assert (run.cause, run.team, run.is_fanned_out) == ("manual", acme, True)
    assert run.sync_id.startswith("manual:")
    assert sorted(RepositorySync.objects.values_list("repository", flat=True)) == [API, WEB]
    compare()
    workers.conclude()
    acme.refresh_from_db()
    assert acme.last_sync_status == "success"


def test_two_equal_starts_are_one_run_until_it_is_over(acme: Team, workers: Workers) -> None:
    first = start_for_team(acme.pk).sync
    assert start_for_team(acme.pk).sync == first
    tasks.sync_github_data(acme.pk, first.sync_id)
    compare()
    workers.conclude()
    assert start_for_team(acme.pk).sync != first


@pytest.mark.django_db(transaction=True)
def test_equal_starts_at_the_same_time_are_one_run(acme: Team, workers: Workers) -> None:
    def begin(_: int) -> str:
        try:
            return start_for_team(acme.pk).sync.sync_id
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as people:
        assert len(set(people.map(begin, range(12)))) == 1


def test_sync_github_data_without_a_run_makes_one_of_its_own(acme: Team, workers: Workers) -> None:
    assert tasks.sync_github_data(acme.pk) is True
    assert RepositorySync.objects.count() == 2
    assert tasks.sync_github_data(acme.pk) is False
    assert SyncLog.objects.count() == 1


def test_a_team_that_is_not_in_the_run_is_not_fanned_out(acme: Team, zoo: Team, workers: Workers) -> None:
    sync_id = start_for_team(acme.pk).sync.sync_id
    assert tasks.sync_github_data(zoo.pk, sync_id) is False
    assert TeamSync.objects.filter(team=zoo).count() == 0


def test_there_is_no_run_for_a_team_that_is_not_there(acme: Team) -> None:
    with pytest.raises(Team.DoesNotExist):
        tasks.schedule_team_sync(10**6)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "night"),
    [
        ("03-02T01:59:59", "2026-03-01"),
        ("03-02T02:00:00", "2026-03-02"),
        ("03-02T23:59:59", "2026-03-02"),
        ("03-03T00:30:00", "2026-03-02"),
        ("01-01T01:00:00", "2025-12-31"),
    ],
)
def test_a_night_begins_at_two_and_is_due_until_the_next(now: str, night: str) -> None:
    period = due_night(at(now))
    assert period.key == night
    assert (period.due_at.hour, period.due_at <= at(now) < period.due_at + timedelta(days=1)) == (2, True)


def test_periods_are_computed_in_utc_from_any_time_zone() -> None:
    berlin = timezone(timedelta(hours=1))
    assert due_night(datetime(2026, 3, 2, 2, 30, tzinfo=berlin)).key == "2026-03-01"
    assert due_hour(datetime(2026, 3, 2, 2, 30, tzinfo=berlin)).key == "2026-03-02T01"


def test_an_hour_is_due_from_its_beginning() -> None:
    assert due_hour(at("03-02T13:59:59")).key == "2026-03-02T13"
    assert due_hour(at("03-02T14:00:00")).due_at == at("03-02T14:00:00")


def test_the_night_begins_in_the_hour_of_two_alone() -> None:
    assert [hour for hour in range(24) if is_of_night(due_hour(at(f"03-02T{hour:02}:10:00")))] == [2]

"""Open the runs of periods: one row per period, however many beats ask for it.

The night is opened when it has begun, and the run of an hourly team while the hour before it passes. A row that is due
stays due until a worker claims it, so a period that everybody missed is made up once.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from apps.github.credentials import has_credentials
from apps.integrations.models import SyncLog, TeamSync
from apps.integrations.reconciliation.runs.periods import Period, due_night, is_of_night, next_hour, next_night
from apps.integrations.reconciliation.runs.scopes import NIGHTLY, of_team
from apps.teams.models import Team


def database_time() -> datetime:
    """Now, by the one clock that all beats and workers share."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def open_due(*, now: datetime) -> int:
    """Create the run of the night that is due and the next run of each hourly team; return how many are new.

    Creates none without credentials, no night while an earlier one is unfinished, and none for a team that takes part
    in an unfinished run.
    """
    if not has_credentials():
        return 0
    return _insert(_night(due_night(now))) + _insert(_next_runs_of_hourly_teams(now))


def schedule_team(team_id: int, *, now: datetime) -> str | None:
    """Have a team compared as often as its frequency says; return the sync_id of its next run.

    Hourly: the next full hour, whose run is created here, or the night where that begins in this hour. Daily: the next
    night, which is opened when it begins. None for a team that is off or not approved. Team.DoesNotExist if there is
    no such team.
    """
    run = _next_run(Team.objects.get(pk=team_id), now=now)
    if run is not None and run.cause == SyncLog.Cause.SCHEDULED and has_credentials():
        _insert([run])
    return run.sync_id if run is not None else None


def open_night(*, now: datetime) -> str:
    """The run of the night that has begun last, opened if it was not; whoever asks for it by name need not wait."""
    row = _row_of(due_night(now))
    SyncLog.objects.bulk_create([row], ignore_conflicts=True)
    return row.sync_id


def synced_teams() -> QuerySet[Team]:
    """The teams whose repositories are compared by themselves: approved, and not switched off."""
    teams: QuerySet[Team] = Team.objects.filter(is_approved=True).exclude(sync_frequency=Team.SyncFrequency.OFF)
    return teams


def _night(night: Period) -> Iterator[SyncLog]:
    """Nothing has to be made up for of nights before there was anybody to compare for."""
    if synced_teams().filter(created_at__lte=night.due_at).exists():
        yield _row_of(night)


def _row_of(night: Period) -> SyncLog:
    return SyncLog(sync_id=f"nightly:{night.key}", cause=SyncLog.Cause.NIGHTLY, scope=NIGHTLY)


def _next_runs_of_hourly_teams(now: datetime) -> Iterator[SyncLog]:
    being_spread = SyncLog.objects.unfinished().filter(scope=NIGHTLY, is_spread=False)
    if being_spread.exists():
        return
    taking_part = TeamSync.objects.filter(team=OuterRef("pk"), status__in=TeamSync.UNFINISHED)
    for team in synced_teams().filter(~Exists(taking_part), sync_frequency=Team.SyncFrequency.HOURLY):
        run = _next_run(team, now=now)
        if run is not None and run.cause == SyncLog.Cause.SCHEDULED:
            yield run


def _next_run(team: Team, *, now: datetime) -> SyncLog | None:
    """Return the next run that the team takes part in by itself, not stored; None while there is none."""
    if not team.is_approved or team.sync_frequency == Team.SyncFrequency.OFF:
        return None
    hour = next_hour(now)
    if team.sync_frequency == Team.SyncFrequency.DAILY or is_of_night(hour):
        return _row_of(next_night(now))
    return SyncLog(
        sync_id=f"team:{team.slug}:{hour.key}",
        cause=SyncLog.Cause.SCHEDULED,
        scope=str(of_team(team.pk)),
        team_id=team.pk,
        not_before=hour.due_at,
    )


def _insert(rows: Iterable[SyncLog]) -> int:
    wanted = list(rows)
    found = SyncLog.objects.filter(sync_id__in=[row.sync_id for row in wanted])
    before = found.count()
    SyncLog.objects.bulk_create(wanted, ignore_conflicts=True)
    return found.count() - before

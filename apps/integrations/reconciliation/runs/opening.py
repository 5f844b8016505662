"""Opening the runs of periods: a row per period, however many beats ask for it, and whoever missed it."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from apps.integrations.github.credentials import has_credentials
from apps.integrations.models import SyncLog, TeamSync
from apps.integrations.reconciliation.runs.periods import Period, due_hour, due_night, is_of_night
from apps.integrations.reconciliation.runs.scopes import NIGHTLY, of_team
from apps.teams.models import Team


def database_time() -> datetime:
    """Now, by the one clock that all beats and workers share."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def open_due(*, now: datetime) -> int:
    """Give every period that is due its row; how many are new. None is, while GitHub cannot be asked.

    The night waits while an earlier one is unfinished, as does a team's hour: nothing is compared twice at once.
    """
    if not has_credentials():
        return 0
    return _insert(_night(due_night(now))) + _insert(_hours(due_hour(now)))


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


def _hours(hour: Period) -> Iterator[SyncLog]:
    """A run for each hourly team that takes part in none."""
    being_spread = SyncLog.objects.unfinished().filter(scope=NIGHTLY, is_spread=False)
    if is_of_night(hour) or being_spread.exists():
        return
    taking_part = TeamSync.objects.filter(team=OuterRef("pk"), status__in=TeamSync.UNFINISHED)
    hourly = synced_teams().filter(
        ~Exists(taking_part), sync_frequency=Team.SyncFrequency.HOURLY, created_at__lte=hour.due_at
    )
    for team_id, slug in hourly.values_list("pk", "slug"):
        yield SyncLog(
            sync_id=f"team:{slug}:{hour.key}",
            cause=SyncLog.Cause.SCHEDULED,
            scope=str(of_team(team_id)),
            team_id=team_id,
        )


def _insert(rows: Iterable[SyncLog]) -> int:
    wanted = list(rows)
    found = SyncLog.objects.filter(sync_id__in=[row.sync_id for row in wanted])
    before = found.count()
    SyncLog.objects.bulk_create(wanted, ignore_conflicts=True)
    return found.count() - before

"""When runs are due: periods, scopes, the creation of runs, and their messages.

A period has one row, however many beats create it. The night's run is created when it has begun, and that of an hourly
team in the hour before it. A row that is due stays due until a worker claims it, so a missed period is made up once.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from celery import current_app
from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from apps.github.credentials import has_credentials
from apps.integrations.models import SyncLog, TeamSync
from apps.jobs import wakeups
from apps.jobs.registry import Plan
from apps.teams.models import Team

NIGHT_BEGINS = timedelta(hours=2)
"""After midnight, UTC."""


@dataclass(frozen=True, slots=True)
class Period:
    """A time at which something has to be compared; `key` names it."""

    key: str
    due_at: datetime


def due_night(now: datetime) -> Period:
    """Return the last night that has begun: at 02:00 UTC."""
    now = now.astimezone(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    due_at = midnight + NIGHT_BEGINS
    if due_at > now:
        due_at -= timedelta(days=1)
    return Period(f"{due_at:%Y-%m-%d}", due_at)


def due_hour(now: datetime) -> Period:
    """Return the last full hour, UTC."""
    due_at = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return Period(f"{due_at:%Y-%m-%dT%H}", due_at)


def next_night(now: datetime) -> Period:
    """Return the next night that begins."""
    return due_night(now + timedelta(days=1))


def next_hour(now: datetime) -> Period:
    """Return the next full hour, UTC."""
    return due_hour(now + timedelta(hours=1))


def is_of_night(hour: Period) -> bool:
    """Return whether the night begins in this hour, so that the hour needs no run of its own."""
    return due_night(hour.due_at).due_at == hour.due_at


NIGHTLY, EVERYTHING, TEAM, INSTALLATION, REPOSITORIES = "nightly", "everything", "team", "installation", "repositories"
MOST_REPOSITORIES = 100
"""So many ids fit into the unique index of scopes."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a run compares: a kind, and the ids that it names."""

    kind: str
    ids: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}:{','.join(map(str, self.ids))}" if self.ids else self.kind

    @property
    def only_id(self) -> int:
        """Return its one id."""
        (found,) = self.ids
        return found


def parse_scope(text: str) -> Scope:
    """Return the scope of a text that str() made of it."""
    kind, _, ids = text.partition(":")
    return Scope(kind, tuple(int(one) for one in ids.split(",") if one))


def of_team(team_id: int) -> Scope:
    """Return the scope of what the team tracks."""
    return Scope(TEAM, (team_id,))


def of_installation(installation_id: int) -> Scope:
    """Return the scope of what the installation reaches."""
    return Scope(INSTALLATION, (installation_id,))


def of_repositories(repository_ids: Iterable[int]) -> Scope:
    """Return the scope of these repositories. ValueError for none, and for more than fit."""
    ids = tuple(sorted(set(repository_ids)))
    if not 0 < len(ids) <= MOST_REPOSITORIES:
        raise ValueError(f"Name one to {MOST_REPOSITORIES} repositories.")
    return Scope(REPOSITORIES, ids)


def database_time() -> datetime:
    """Return the time of the clock that all beats and workers share."""
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
    """Schedule a team's next run by its frequency; return the run's sync_id.

    Hourly: the next full hour, whose run is created here, or the night where that begins in this hour. Daily: the next
    night, which is opened when it begins. None for a team that is off or not approved. Team.DoesNotExist if there is
    no such team.
    """
    run = _next_run(Team.objects.get(pk=team_id), now=now)
    if run is not None and run.cause == SyncLog.Cause.SCHEDULED and has_credentials():
        _insert([run])
    return run.sync_id if run is not None else None


def open_night(*, now: datetime) -> str:
    """Create the run of the night that has begun last, unless it exists; return its sync_id."""
    row = _row_of(due_night(now))
    SyncLog.objects.bulk_create([row], ignore_conflicts=True)
    return row.sync_id


def synced_teams() -> QuerySet[Team]:
    """Return the teams that are compared without a request: approved, and not switched off."""
    teams: QuerySet[Team] = Team.objects.filter(is_approved=True).exclude(sync_frequency=Team.SyncFrequency.OFF)
    return teams


def _night(night: Period) -> Iterator[SyncLog]:
    """Yield the night's run, unless there was no team to compare for when it was due."""
    if synced_teams().filter(created_at__lte=night.due_at).exists():
        yield _row_of(night)


def _row_of(night: Period) -> SyncLog:
    return SyncLog(sync_id=f"nightly:{night.key}", cause=SyncLog.Cause.NIGHTLY, scope=NIGHTLY)


def _next_runs_of_hourly_teams(now: datetime) -> Iterator[SyncLog]:
    being_fanned_out = SyncLog.objects.unfinished().filter(scope=NIGHTLY, is_fanned_out=False)
    if being_fanned_out.exists():
        return
    taking_part = TeamSync.objects.filter(team=OuterRef("pk"), status__in=TeamSync.UNFINISHED)
    for team in synced_teams().filter(~Exists(taking_part), sync_frequency=Team.SyncFrequency.HOURLY):
        run = _next_run(team, now=now)
        if run is not None and run.cause == SyncLog.Cause.SCHEDULED:
            yield run


def _next_run(team: Team, *, now: datetime) -> SyncLog | None:
    """Return the next run that the team takes part in without a request, not stored; None if there is none."""
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
    new = list(rows)
    found = SyncLog.objects.filter(sync_id__in=[row.sync_id for row in new])
    before = found.count()
    SyncLog.objects.bulk_create(new, ignore_conflicts=True)
    return found.count() - before


MOST_TRIES = 5


@dataclass(frozen=True, slots=True)
class Started:
    """The run that compares what was requested; `is_new` unless it was there already."""

    sync: SyncLog
    is_new: bool


def start(scope: Scope, *, is_thorough: bool, accepts_mass_deletions: bool = False) -> Started:
    """Start a run of the scope now, or join an equal unfinished one; one that waits for its hour begins at once.

    `is_thorough`: what changes without a trace is compared in every repository, not only in those that are due.
    A run that was joined is thorough only if none of its repositories may have been compared already.
    `accepts_mass_deletions`: what GitHub has no more is marked as deleted, however much it is.
    """
    for _ in range(MOST_TRIES):
        [row] = SyncLog.objects.bulk_create([_manual(scope, is_thorough=is_thorough)], ignore_conflicts=True)
        unfinished = SyncLog.objects.unfinished().filter(scope=str(scope))
        if accepts_mass_deletions:
            unfinished.update(accepts_mass_deletions=True)
        if is_thorough:
            unfinished.filter(status=SyncLog.Status.WAITING, is_fanned_out=False).update(is_thorough=True)
        is_brought_forward = bool(
            unfinished.filter(status=SyncLog.Status.WAITING, not_before__gt=Now()).update(
                not_before=Now(), cause=SyncLog.Cause.MANUAL
            )
        )
        found = unfinished.first()
        if found is not None:
            return Started(found, is_new=is_brought_forward or found.sync_id == row.sync_id)
    raise RuntimeError(f"{scope} was finished by others as often as it was started.")


def start_for_team(team_id: int) -> Started:
    """Start a run of all that the team tracks, whatever its frequency. Team.DoesNotExist if there is no such team."""
    return start(of_team(Team.objects.get(pk=team_id).pk), is_thorough=True)


def _manual(scope: Scope, *, is_thorough: bool) -> SyncLog:
    return SyncLog(
        sync_id=f"manual:{uuid4()}",
        cause=SyncLog.Cause.MANUAL,
        scope=str(scope),
        team_id=scope.only_id if scope.kind == TEAM else None,
        is_thorough=is_thorough,
    )


ALL_TASK = "apps.integrations.tasks.sync_all_github_data"
TEAM_TASK = "apps.integrations.tasks.sync_github_data"
CONCLUDE_TASK = "apps.integrations.tasks.conclude_team_sync"
SUCCESS_TASK = "apps.integrations.tasks.on_success"
FAILURE_TASK = "apps.integrations.tasks.on_failure"
EXPIRES_S = 60
"""After a minute the next message is sent."""
AGAIN = timedelta(seconds=EXPIRES_S)
MOST_AT_ONCE = 500
Message = Callable[..., object]


def enqueue_due() -> int:
    """Wake workers for the runs and team runs to fan out; return how many messages were sent."""
    if not has_credentials():
        return 0
    messages: list[Message] = [_of_run(sync) for sync in SyncLog.objects.due().order_by("not_before")[:MOST_AT_ONCE]]
    return wakeups.send([*messages, *_of_team_runs(TeamSync.objects.all())])


def dispatch_runs() -> int:
    """Open the night that is due and the next run of each hourly team, and notify workers of runs that are due.

    A night that no beat saw is made up for once. The database's clock decides which period is due: this may come late,
    twice, or from several workers at once.
    """
    open_due(now=database_time())
    return enqueue_due()


PLAN = Plan(name="open_due_runs", run=dispatch_runs, every_s=EXPIRES_S)


def enqueue_run(sync: SyncLog) -> int:
    """Wake a worker for a run that was just started."""
    return wakeups.send([_of_run(sync)])


def enqueue_team_runs(sync_id: int) -> int:
    """Wake workers for the team runs of a run."""
    return wakeups.send(_of_team_runs(TeamSync.objects.filter(sync=sync_id)))


def enqueue_results(team_run_ids: list[int]) -> int:
    """Send the messages that conclude these team runs; one of two callbacks writes the result to the team."""
    return wakeups.send(
        _message(
            CONCLUDE_TASK,
            team_run_id,
            link=current_app.signature(SUCCESS_TASK, args=(team_run_id,), immutable=True),
            link_error=current_app.signature(FAILURE_TASK, args=(team_run_id,), immutable=True),
        )
        for team_run_id in team_run_ids
    )


def _of_run(sync: SyncLog) -> Message:
    scope = parse_scope(sync.scope)
    if scope.kind == TEAM:
        return _message(TEAM_TASK, scope.only_id, sync.sync_id)
    return _message(ALL_TASK, sync.sync_id)


def _of_team_runs(team_runs: QuerySet[TeamSync]) -> Iterator[Message]:
    """Yield messages of those that wait and were not notified a moment ago; the oldest first."""
    due = team_runs.filter(Q(notified_at=None) | Q(notified_at__lt=Now() - AGAIN), status=TeamSync.Status.WAITING)
    waiting = list(due.order_by("pk").values_list("pk", "team_id", "sync__sync_id")[:MOST_AT_ONCE])
    TeamSync.objects.filter(pk__in=[pk for pk, _, _ in waiting]).update(notified_at=Now())
    for _, team_id, sync_id in waiting:
        yield _message(TEAM_TASK, team_id, sync_id)


def _message(task: str, *arguments: object, **options: Any) -> Message:
    return partial(
        current_app.send_task,
        task,
        args=list(arguments),
        expires=EXPIRES_S,
        retry=False,
        ignore_result=True,
        **options,
    )

"""Starting a run: of two equal starts that are unfinished there is one."""

from dataclasses import dataclass
from uuid import uuid4

from django.db.models.functions import Now

from apps.integrations.models import SyncLog
from apps.integrations.reconciliation.runs.scopes import TEAM, Scope, of_team
from apps.teams.models import Team

MOST_TRIES = 5


@dataclass(frozen=True, slots=True)
class Started:
    """The run that compares what was asked for; `is_new` unless it was under way already."""

    sync: SyncLog
    is_new: bool


def start(scope: Scope, *, is_thorough: bool, believes_deletions: bool = False) -> Started:
    """Have this compared now: an equal run that is unfinished is joined, one that waits for its hour begins at once.

    `is_thorough`: what changes without a trace is looked at in every repository, not only in those whose turn it is.
    A run that was joined is thorough only if none of its repositories may have been compared already.
    `believes_deletions`: what GitHub has no more counts as deleted, however much it is.
    """
    for _ in range(MOST_TRIES):
        [row] = SyncLog.objects.bulk_create([_manual(scope, is_thorough=is_thorough)], ignore_conflicts=True)
        unfinished = SyncLog.objects.unfinished().filter(scope=str(scope))
        if believes_deletions:
            unfinished.update(believes_deletions=True)
        if is_thorough:
            unfinished.filter(status=SyncLog.Status.WAITING, is_spread=False).update(is_thorough=True)
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
    """Have all that the team tracks compared now, whatever its frequency says. Team.DoesNotExist if there is none."""
    return start(of_team(Team.objects.get(pk=team_id).pk), is_thorough=True)


def _manual(scope: Scope, *, is_thorough: bool) -> SyncLog:
    return SyncLog(
        sync_id=f"manual:{uuid4()}",
        cause=SyncLog.Cause.MANUAL,
        scope=str(scope),
        team_id=scope.only_id if scope.kind == TEAM else None,
        is_thorough=is_thorough,
    )

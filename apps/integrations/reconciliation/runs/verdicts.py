"""How a team's part in a run ended: its row says so in the transaction that tells the team's."""

import logging
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from apps.crash_points import crash_point
from apps.integrations.backfill.words import storable
from apps.integrations.models import RepositorySync, TeamSync
from apps.integrations.reconciliation.runs.telling import tell_admins
from apps.teams.models import Team

MOST_NAMED = 5
logger = logging.getLogger(__name__)


class TeamSyncFailed(Exception):  # noqa: N818  says what happened
    """Not everything that the team tracks could be compared with GitHub."""


def require_success(part_id: int) -> None:
    """Return where all of the part was compared; TeamSyncFailed, in words, where it was not."""
    part = TeamSync.objects.filter(pk=part_id).first()
    if part is not None and (words := _words_of_failure(part)):
        raise TeamSyncFailed(words)


def tell_success(part_id: int) -> bool:
    """Write into the team's row that all of it was compared; whether that is so and was not told yet."""
    return _tell(part_id, status=TeamSync.Status.SUCCESS)


def tell_failure(part_id: int) -> bool:
    """Write into the team's row what could not be compared; whether that is so and was not told yet.

    Its admins are told too, unless its last part had failed already.
    """
    return _tell(part_id, status=TeamSync.Status.FAILED)


def _tell(part_id: int, *, status: TeamSync.Status) -> bool:
    """The rows say how it ended, and never the message: a callback may come early, twice, or by mistake."""
    with transaction.atomic():
        part = (
            TeamSync.objects.filter(pk=part_id, status=TeamSync.Status.RUNNING).select_related("sync", "team").first()
        )
        if part is None or _own(part).filter(state__in=RepositorySync.UNFINISHED).exists():
            return False
        Team.objects.select_for_update(no_key=True).get(pk=part.team_id)  # of two parts at once one comes first
        words = _words_of_failure(part)
        if bool(words) is not (status == TeamSync.Status.FAILED):
            return False
        had_failed = _had_failed(part)
        running = TeamSync.objects.filter(pk=part_id, status=TeamSync.Status.RUNNING)
        if not running.update(status=status, error=words, finished_at=Now()):
            return False
        Team.objects.filter(pk=part.team_id).note_sync(**_told(part, words=words))
        crash_point("run.before_verdict")
        if words and not had_failed:
            tell_admins(part.team, words=words)
    logger.info("team_sync_ended", extra={"sync": part.sync.sync_id, "team": part.team_id, "status": str(status)})
    return True


def _told(part: TeamSync, *, words: str) -> dict[str, Any]:
    if words:
        return {"last_sync_status": Team.SyncStatus.FAILED, "last_sync_error": words}
    return {"last_sync_status": Team.SyncStatus.SUCCESS, "last_sync_error": "", "last_synced_at": Now()}


def _had_failed(part: TeamSync) -> bool:
    """Whether the streak of failures is older than this part."""
    ended = TeamSync.objects.filter(team=part.team_id, finished_at__isnull=False).order_by("-finished_at", "-pk")
    return ended.values_list("status", flat=True).first() == TeamSync.Status.FAILED


def _own(part: TeamSync) -> QuerySet[RepositorySync]:
    return RepositorySync.objects.filter(sync=part.sync_id, repository__in=part.repository_ids)


def _words_of_failure(part: TeamSync) -> str:
    """Empty where there is none."""
    failed = _own(part).filter(state=RepositorySync.State.FAILED).select_related("repository")
    count = failed.count()
    if not count:
        return part.error
    named = [_of_one(row) for row in failed.order_by("repository__full_name", "pk")[:MOST_NAMED]]
    more = f"; and {count - MOST_NAMED:,} more" if count > MOST_NAMED else ""
    of_all = f"{count:,} of {len(part.repository_ids):,} repositories could not be compared with GitHub"
    return storable(f"{of_all}: {'; '.join(named)}{more}.")


def _of_one(row: RepositorySync) -> str:
    why = (row.error or row.reason.replace("_", " ")).rstrip(".")
    return f"{row.repository} ({why})" if why else str(row.repository)

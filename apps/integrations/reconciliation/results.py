"""Finding what is over: parts whose verdict is to be told, runs that are through, and those that never will be."""

import logging
from datetime import timedelta
from functools import partial
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from apps.common.failpoints import failpoint
from apps.integrations.models import RepositorySync, SyncLog, TeamSync
from apps.integrations.reader import storable
from apps.integrations.reconciliation import schedule
from apps.integrations.reconciliation.fan_out import note_spread
from apps.jobs import wakeups
from apps.notifications.tasks import send_notification
from apps.teams.models import Team, TeamAccess
from apps.users.models import CustomUser

LONGEST = timedelta(hours=24)
"""By then the next night is due. What a run has not compared it gives up; walks that it began go on."""
TOO_LONG = "It was not compared within 24 hours. What was begun goes on, and the next run looks again."
logger = logging.getLogger(__name__)

# Told of again after a minute: the message, or its callback, may have been lost.
_TELL_OF_PARTS = """
UPDATE integrations_teamsync SET notified_at = statement_timestamp() WHERE id = ANY(ARRAY(
    SELECT part.id FROM integrations_teamsync part
    WHERE part.status = 'running'
        AND (part.notified_at IS NULL OR part.notified_at < statement_timestamp() - make_interval(secs => %(again_s)s))
        AND NOT EXISTS (
            SELECT FROM integrations_repositorysync own JOIN jobs_job j ON j.id = own.job_ptr_id
            WHERE own.sync_id = part.sync_id AND own.repository_id = ANY(part.repository_ids)
                AND j.state IN ('waiting', 'running', 'paused')
        )
    ORDER BY part.id LIMIT %(most)s FOR UPDATE SKIP LOCKED
))
RETURNING id
"""
# Counts and no names: a run holds repositories of teams that know nothing of each other.
_END = """
UPDATE integrations_synclog sync
SET status = CASE WHEN failed.repositories + failed.teams > 0 OR sync.error <> '' THEN 'failed' ELSE 'completed' END,
    error = CASE WHEN failed.repositories > 0
        THEN failed.repositories || ' of ' || failed.of_repositories || ' repositories could not be compared.'
        WHEN failed.teams > 0 THEN 'Of ' || failed.teams || ' teams no repository could be compared.'
        ELSE sync.error END,
    finished_at = statement_timestamp()
FROM (
    SELECT over.id,
        (SELECT count(*) FROM integrations_repositorysync r JOIN jobs_job j ON j.id = r.job_ptr_id
         WHERE r.sync_id = over.id AND j.state IN ('failed', 'cancelled')) AS repositories,
        (SELECT count(*) FROM integrations_repositorysync r WHERE r.sync_id = over.id) AS of_repositories,
        (SELECT count(*) FROM integrations_teamsync t WHERE t.sync_id = over.id AND t.status = 'failed') AS teams
    FROM integrations_synclog over
    WHERE over.status = 'running' AND over.is_spread
        AND NOT EXISTS (
            SELECT FROM integrations_repositorysync r JOIN jobs_job j ON j.id = r.job_ptr_id
            WHERE r.sync_id = over.id AND j.state IN ('waiting', 'running', 'paused')
        )
        AND NOT EXISTS (
            SELECT FROM integrations_teamsync t WHERE t.sync_id = over.id AND t.status IN ('waiting', 'running')
        )
) AS failed
WHERE sync.id = failed.id AND sync.status = 'running'
RETURNING sync.sync_id, sync.status
"""


def conclude() -> int:
    """Do what is to be done with whatever is over; how many runs came to their end."""
    give_up_old()
    note_spread()
    tell_of_parts()
    return end_runs()


def tell_of_parts() -> int:
    """Have verdicts told of the parts whose repositories are all through; how many messages the broker took."""
    with connection.cursor() as cursor:
        cursor.execute(_TELL_OF_PARTS, {"again_s": schedule.EXPIRES_S, "most": schedule.MOST_AT_ONCE})
        over = [row[0] for row in cursor.fetchall()]
    return schedule.enqueue_results(over) if over else 0


def end_runs() -> int:
    """End the runs in which nothing is unfinished any more; how many."""
    with connection.cursor() as cursor:
        cursor.execute(_END)
        ended = cursor.fetchall()
    for sync_id, status in ended:
        logger.info("sync_ended", extra={"sync": sync_id, "status": status})
    return len(ended)


def give_up_old() -> int:
    """Fail whatever is unfinished in runs that have taken a day, so that the next may begin; how many runs."""
    old = SyncLog.objects.unfinished().filter(not_before__lt=Now() - LONGEST)
    given_up = 0
    for sync in old.order_by("pk"):
        with transaction.atomic():
            given_up += _give_up(sync)
    return given_up


def _give_up(sync: SyncLog) -> bool:
    """Whether anything was left to be given up: its last verdicts may be on their way."""
    parts = TeamSync.objects.filter(sync=sync, status=TeamSync.Status.WAITING)
    own = SyncLog.objects.unfinished().filter(~Q(status="running", is_spread=True), pk=sync.pk)
    changed = [
        _fail_repositories(sync),
        parts.update(status=TeamSync.Status.RUNNING, error=TOO_LONG, notified_at=None),
        own.update(
            status=SyncLog.Status.RUNNING,
            error=TOO_LONG,
            is_spread=True,
        ),
    ]
    if any(changed):
        logger.warning("sync_given_up", extra={"sync": sync.sync_id, "repositories": changed[0]})
    return any(changed)


def _fail_repositories(sync: SyncLog) -> int:
    """Whoever works on one of them meanwhile has lost their claim."""
    return (
        RepositorySync.objects.filter(sync=sync)
        .jobs.unfinished()
        .update(
            state=RepositorySync.State.FAILED,
            reason="too_long",
            error=TOO_LONG,
            lease_until=None,
            leased_by="",
            claim_number=F("claim_number") + 1,
            finished_at=Now(),
        )
    )


EMAIL_TASK = "apps.notifications.tasks.send_email"
TEMPLATE = "team_sync_failed"


def tell_admins(team: Team, *, words: str) -> None:
    """Leave each of the team's admins a note, and send an e-mail to those who have an address."""
    context = {"team": team.name, "words": words, "address": settings.PUBLIC_URL}
    admins = CustomUser.objects.filter(
        team_accesses__team=team, team_accesses__role=TeamAccess.Role.ADMIN, is_active=True
    )
    for user_id, address in admins.order_by("pk").values_list("pk", "email"):
        send_notification(user_id, f"{team.name} could not be compared with GitHub: {words}")
        if address:
            transaction.on_commit(partial(_send_email, user_id, context), robust=True)


def _send_email(user_id: int, context: dict[str, str]) -> None:
    wakeups.send([partial(current_app.send_task, EMAIL_TASK, args=[user_id, TEMPLATE, context], retry=False)])


MOST_NAMED = 5


class TeamSyncError(Exception):
    """Not everything that the team tracks could be compared with GitHub."""


def require_success(part_id: int) -> None:
    """Return where all of the part was compared; TeamSyncError, in words, where it was not."""
    part = TeamSync.objects.filter(pk=part_id).first()
    if part is not None and (words := _words_of_failure(part)):
        raise TeamSyncError(words)


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
        failpoint("run.before_verdict")
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
    failed = (
        _own(part)
        .filter(state__in=[RepositorySync.State.FAILED, RepositorySync.State.CANCELLED])
        .select_related("repository")
    )
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

"""The ends of runs: results of teams, runs that are over or take too long, and deletion of old ones."""

import logging
import time
from datetime import timedelta
from functools import partial
from typing import Any

from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from apps.common.db import unclaimed
from apps.common.failpoints import failpoint
from apps.integrations.models import RepositorySync, SyncLog, TeamSync
from apps.integrations.reader import storable
from apps.integrations.reconciliation import schedule
from apps.integrations.reconciliation.fan_out import note_fanned_out
from apps.integrations.reconciliation.schedule import NIGHTLY
from apps.jobs import wakeups
from apps.jobs.registry import Plan
from apps.notifications.tasks import send_notification
from apps.teams.models import Team, TeamAccess
from apps.users.models import CustomUser

LONGEST = timedelta(hours=24)
"""By then the next night is due. The run gives up what it has not compared; its backfills continue."""
TOO_LONG = "It was not compared within 24 hours. What was begun continues, and the next run compares it again."
KEPT_FOR = timedelta(days=90)
RUN_S = 5.0
AT_A_TIME = 10
EMAIL_TASK = "apps.notifications.tasks.send_email"
TEMPLATE = "team_sync_failed"
MOST_NAMED = 5
logger = logging.getLogger(__name__)

# Notified again after a minute: the message, or its callback, may be lost.
_NOTIFY_OF_FINISHED = f"""
UPDATE integrations_teamsync SET notified_at = statement_timestamp() WHERE id = ANY(ARRAY(
    SELECT team_run.id FROM integrations_teamsync team_run
    WHERE team_run.status = 'running'
        AND (
            team_run.notified_at IS NULL
            OR team_run.notified_at < statement_timestamp() - make_interval(secs => %(again_s)s)
        )
        AND NOT EXISTS (
            SELECT FROM integrations_repositorysync own JOIN jobs_job j ON j.id = own.job_ptr_id
            WHERE own.sync_id = team_run.sync_id AND own.repository_id = ANY(team_run.repository_ids)
                AND j.state IN ('waiting', 'running', 'paused')
        )
    ORDER BY team_run.id LIMIT %(most)s {unclaimed("team_run")}
))
RETURNING id
"""  # noqa: S608  a clause of our own
# Counts and no names: a run has repositories of teams that may not see each other.
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
    WHERE over.status = 'running' AND over.is_fanned_out
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
    """Give up old runs, notify of finished teams and end finished runs; return how many runs ended."""
    give_up_old()
    note_fanned_out()
    notify_of_finished_teams()
    return end_runs()


PLAN = Plan(name="conclude_runs", run=conclude, every_s=14.0)


def notify_of_finished_teams() -> int:
    """Send a message for each team run whose repositories have all ended; return how many the broker took."""
    with connection.cursor() as cursor:
        cursor.execute(_NOTIFY_OF_FINISHED, {"again_s": schedule.EXPIRES_S, "most": schedule.MOST_AT_ONCE})
        over = [row[0] for row in cursor.fetchall()]
    return schedule.enqueue_results(over) if over else 0


def end_runs() -> int:
    """End the runs in which nothing is unfinished any more; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(_END)
        ended = cursor.fetchall()
    for sync_id, status in ended:
        logger.info("sync_ended", extra={"sync": sync_id, "status": status})
    return len(ended)


def give_up_old() -> int:
    """Fail what is unfinished in runs that have taken a day, so that the next may begin; return how many runs."""
    old = SyncLog.objects.unfinished().filter(not_before__lt=Now() - LONGEST)
    given_up = 0
    for sync in old.order_by("pk"):
        with transaction.atomic():
            given_up += _give_up(sync)
    return given_up


def _give_up(sync: SyncLog) -> bool:
    """Give up what is left of the run; return whether there was anything, as only its results may be missing."""
    team_runs = TeamSync.objects.filter(sync=sync, status=TeamSync.Status.WAITING)
    own = SyncLog.objects.unfinished().filter(~Q(status="running", is_fanned_out=True), pk=sync.pk)
    changed = [
        _fail_repositories(sync),
        team_runs.update(status=TeamSync.Status.RUNNING, error=TOO_LONG, notified_at=None),
        own.update(
            status=SyncLog.Status.RUNNING,
            error=TOO_LONG,
            is_fanned_out=True,
        ),
    ]
    if any(changed):
        logger.warning("sync_given_up", extra={"sync": sync.sync_id, "repositories": changed[0]})
    return any(changed)


def _fail_repositories(sync: SyncLog) -> int:
    """Fail the unfinished repositories; a worker that runs one of them loses its claim."""
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


def notify_admins(team: Team, *, words: str) -> None:
    """Create a note for each admin of the team, and send an e-mail to those who have an address."""
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


class TeamSyncError(Exception):
    """Not everything that the team tracks could be compared with GitHub."""


def require_success(team_run_id: int) -> None:
    """Return if all of the team's repositories were compared, raise TeamSyncError with the reasons if not."""
    team_run = TeamSync.objects.filter(pk=team_run_id).first()
    if team_run is not None and (words := _describe_failure(team_run)):
        raise TeamSyncError(words)


def notify_success(team_run_id: int) -> bool:
    """Write into the team's row that all was compared; return whether that is so and was not written yet."""
    return _notify(team_run_id, status=TeamSync.Status.SUCCESS)


def notify_failure(team_run_id: int) -> bool:
    """Write into the team's row what could not be compared; return whether that is so and was not written yet.

    Its admins are notified too, unless the run before had failed already.
    """
    return _notify(team_run_id, status=TeamSync.Status.FAILED)


def _notify(team_run_id: int, *, status: TeamSync.Status) -> bool:
    """Read from the rows how it ended, not from the message: a callback may come early, twice, or by mistake."""
    with transaction.atomic():
        team_run = (
            TeamSync.objects.filter(pk=team_run_id, status=TeamSync.Status.RUNNING)
            .select_related("sync", "team")
            .first()
        )
        if team_run is None or _own(team_run).filter(state__in=RepositorySync.UNFINISHED).exists():
            return False
        Team.objects.select_for_update(no_key=True).get(pk=team_run.team_id)  # serializes two runs of a team
        words = _describe_failure(team_run)
        if bool(words) is not (status == TeamSync.Status.FAILED):
            return False
        had_failed = _had_failed(team_run)
        running = TeamSync.objects.filter(pk=team_run_id, status=TeamSync.Status.RUNNING)
        if not running.update(status=status, error=words, finished_at=Now()):
            return False
        Team.objects.filter(pk=team_run.team_id).note_sync(**_team_columns(team_run, words=words))
        failpoint("run.before_result")
        if words and not had_failed:
            notify_admins(team_run.team, words=words)
    logger.info(
        "team_sync_ended", extra={"sync": team_run.sync.sync_id, "team": team_run.team_id, "status": str(status)}
    )
    return True


def _team_columns(team_run: TeamSync, *, words: str) -> dict[str, Any]:
    if words:
        return {"last_sync_status": Team.SyncStatus.FAILED, "last_sync_error": words}
    return {"last_sync_status": Team.SyncStatus.SUCCESS, "last_sync_error": "", "last_synced_at": Now()}


def _had_failed(team_run: TeamSync) -> bool:
    """Return whether the team's run before this one had failed."""
    ended = TeamSync.objects.filter(team=team_run.team_id, finished_at__isnull=False).order_by("-finished_at", "-pk")
    return ended.values_list("status", flat=True).first() == TeamSync.Status.FAILED


def _own(team_run: TeamSync) -> QuerySet[RepositorySync]:
    return RepositorySync.objects.filter(sync=team_run.sync_id, repository__in=team_run.repository_ids)


def _describe_failure(team_run: TeamSync) -> str:
    """Return what could not be compared, in words; empty if all was."""
    failed = (
        _own(team_run)
        .filter(state__in=[RepositorySync.State.FAILED, RepositorySync.State.CANCELLED])
        .select_related("repository")
    )
    count = failed.count()
    if not count:
        return team_run.error
    named = [_describe_repository(row) for row in failed.order_by("repository__full_name", "pk")[:MOST_NAMED]]
    more = f"; and {count - MOST_NAMED:,} more" if count > MOST_NAMED else ""
    of_all = f"{count:,} of {len(team_run.repository_ids):,} repositories could not be compared with GitHub"
    return storable(f"{of_all}: {'; '.join(named)}{more}.")


def _describe_repository(row: RepositorySync) -> str:
    why = (row.error or row.reason.replace("_", " ")).rstrip(".")
    return f"{row.repository} ({why})" if why else str(row.repository)


def prune() -> int:
    """Delete the runs that ended 90 days ago, as many as a few seconds allow; return how many.

    The last run of each team stays, as the next result depends on it, and so does the last night.
    """
    deleted, deadline_s = 0, time.monotonic() + RUN_S
    while time.monotonic() < deadline_s:
        ids = list(_old().order_by("pk").values_list("pk", flat=True)[:AT_A_TIME])
        SyncLog.objects.filter(pk__in=ids).delete()
        deleted += len(ids)
        if len(ids) < AT_A_TIME:
            break
    return deleted


def _old() -> QuerySet[SyncLog]:
    later = TeamSync.objects.filter(team=OuterRef("team"), finished_at__isnull=False, pk__gt=OuterRef("pk"))
    last_of_teams = TeamSync.objects.filter(~Exists(later), sync=OuterRef("pk"), finished_at__isnull=False)
    last_night = SyncLog.objects.filter(scope=NIGHTLY, finished_at__isnull=False).order_by("-pk").values("pk")[:1]
    return SyncLog.objects.filter(~Exists(last_of_teams), finished_at__lt=Now() - KEPT_FOR).exclude(pk__in=last_night)

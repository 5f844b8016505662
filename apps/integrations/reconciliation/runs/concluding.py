"""Finding what is over: parts whose verdict is to be told, runs that are through, and those that never will be."""

import logging
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from apps.integrations.models import RepositorySync, SyncLog, TeamSync
from apps.integrations.reconciliation.runs import bell
from apps.integrations.reconciliation.runs.spreading import note_spread

LONGEST = timedelta(hours=24)
"""By then the next night is due. What a run has not compared it gives up; walks that it began go on."""
TOO_LONG = "It was not compared within 24 hours. What was begun goes on, and the next run looks again."
logger = logging.getLogger(__name__)

# Told of again after a minute: the message, or its callback, may have been lost.
_TELL_OF_PARTS = """
UPDATE integrations_teamsync SET rung_at = statement_timestamp() WHERE id = ANY(ARRAY(
    SELECT part.id FROM integrations_teamsync part
    WHERE part.status = 'running'
        AND (part.rung_at IS NULL OR part.rung_at < statement_timestamp() - make_interval(secs => %(again_s)s))
        AND NOT EXISTS (
            SELECT FROM integrations_repositorysync own
            WHERE own.sync_id = part.sync_id AND own.repository_id = ANY(part.repository_ids)
                AND own.state IN ('waiting', 'running', 'walking')
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
        (SELECT count(*) FROM integrations_repositorysync r WHERE r.sync_id = over.id AND r.state = 'failed')
            AS repositories,
        (SELECT count(*) FROM integrations_repositorysync r WHERE r.sync_id = over.id) AS of_repositories,
        (SELECT count(*) FROM integrations_teamsync t WHERE t.sync_id = over.id AND t.status = 'failed') AS teams
    FROM integrations_synclog over
    WHERE over.status = 'running' AND over.is_spread
        AND NOT EXISTS (
            SELECT FROM integrations_repositorysync r
            WHERE r.sync_id = over.id AND r.state IN ('waiting', 'running', 'walking')
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
        cursor.execute(_TELL_OF_PARTS, {"again_s": bell.EXPIRES_S, "most": bell.MOST_AT_ONCE})
        over = [row[0] for row in cursor.fetchall()]
    return bell.ring_for_verdicts(over) if over else 0


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
    own = SyncLog.objects.unfinished().filter(~Q(status="running", is_spread=True, lease_until=None), pk=sync.pk)
    changed = [
        _fail_repositories(sync),
        parts.update(status=TeamSync.Status.RUNNING, error=TOO_LONG, rung_at=None),
        own.update(
            status=SyncLog.Status.RUNNING,
            error=TOO_LONG,
            is_spread=True,
            lease_until=None,
            claim_number=F("claim_number") + 1,
        ),
    ]
    if any(changed):
        logger.warning("sync_given_up", extra={"sync": sync.sync_id, "repositories": changed[0]})
    return any(changed)


def _fail_repositories(sync: SyncLog) -> int:
    """Whoever works on one of them meanwhile has lost their claim."""
    unfinished = RepositorySync.objects.filter(sync=sync, state__in=RepositorySync.UNFINISHED)
    return unfinished.update(
        state=RepositorySync.State.FAILED,
        reason="too_long",
        error=TOO_LONG,
        lease_until=None,
        claim_number=F("claim_number") + 1,
        finished_at=Now(),
    )

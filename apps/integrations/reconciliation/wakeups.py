"""Telling the workers which repositories of a run are due. Messages are hints: one too many does nothing."""

import re
from collections.abc import Iterable, Sequence
from functools import partial

from celery import current_app
from django.db.models.functions import Now

from apps.common import db
from apps.github.credentials import has_credentials
from apps.integrations.access import installation_reaching
from apps.integrations.models import RepositorySync
from apps.integrations.outcomes import BUSY
from apps.integrations.reconciliation.claims import IS_DUE, IS_WALKED, NOT_REACHED, rows, run
from apps.jobs import wakeups

PROBE_TASK = "apps.integrations.tasks.probe_repositories"
SYNC_TASK = "apps.integrations.tasks.sync_repository"
EXPIRES_S = 30
"""By then the next message is there."""
ENQUEUE_AGAIN_AFTER_S = 60
MOST_AT_ONCE, MOST_ASSIGNED = 500, 5000
LONGEST_WAIT_S = 6.0
_SUBJECT = re.compile(r"sync (\d+)")

_UNASSIGNED = f"""
SELECT s.id, s.repository_id FROM integrations_repositorysync s
WHERE s.installation_id IS NULL AND {IS_DUE} LIMIT %(most)s
"""  # noqa: S608  put together of constants
_ASSIGN_INSTALLATION = """
UPDATE integrations_repositorysync s SET installation_id = found.installation_id
FROM unnest(%(ids)s::bigint[], %(installations)s::bigint[]) AS found (id, installation_id)
WHERE s.id = found.id AND s.installation_id IS NULL
"""
_FAIL_UNREACHABLE = """
UPDATE integrations_repositorysync s
SET state = 'failed', reason = 'no_installation', finished_at = statement_timestamp(), lease_until = NULL,
    error = %(words)s
WHERE s.id = ANY(%(ids)s) AND s.installation_id IS NULL AND s.state IN ('waiting', 'running')
"""
_DUE_INSTALLATIONS = f"""
SELECT DISTINCT s.installation_id FROM integrations_repositorysync s
WHERE s.installation_id IS NOT NULL AND {IS_DUE}
"""  # noqa: S608
_TELL_OF_WALKED = f"""
WITH mine AS (
    SELECT s.id FROM integrations_repositorysync s
    WHERE (%(id)s::bigint IS NULL OR s.id = %(id)s) AND {IS_WALKED} AND (
        %(id)s IS NOT NULL OR s.rung_at IS NULL
        OR s.rung_at < statement_timestamp() - make_interval(secs => %(again)s)
    )
    ORDER BY s.not_before LIMIT %(most)s FOR UPDATE SKIP LOCKED
), told AS (
    UPDATE integrations_repositorysync s SET rung_at = statement_timestamp()
    WHERE s.id = ANY(ARRAY(SELECT id FROM mine)) RETURNING s.repository_id, s.sync_id
)
SELECT told.repository_id, log.sync_id FROM told JOIN integrations_synclog log ON log.id = told.sync_id
"""  # noqa: S608


def enqueue_due() -> int:
    """Tell the workers of all that is due; how many messages the broker took.

    What waits for no installation yet gets the one that reaches it, or fails where none does.
    """
    if not has_credentials():
        return 0
    with db.limit(seconds=LONGEST_WAIT_S):
        _find_installations()
        installations = [row[0] for row in rows(_DUE_INSTALLATIONS)]
        walked = _walked(None)
    return enqueue_installations(installations) + _send_walked(walked)


def enqueue_installations(installation_ids: Iterable[int]) -> int:
    """Tell the workers that repositories of these are to be probed."""
    return wakeups.send(
        [
            partial(current_app.send_task, PROBE_TASK, args=[one], expires=EXPIRES_S, retry=False, ignore_result=True)
            for one in installation_ids
        ]
    )


def enqueue_verification(repository_sync_id: int) -> int:
    """Tell the workers of this one, if all of its walks are over."""
    with db.limit(seconds=LONGEST_WAIT_S):
        walked = _walked(repository_sync_id)
    return _send_walked(walked)


def wake_next_waiter(subject: str | None) -> int:
    """Tell them of the installation that GitHub's budget named as the next, if its repositories wait for that."""
    named = _SUBJECT.fullmatch(subject or "")
    if named is None:
        return 0
    installation_id = int(named[1])
    waiting = RepositorySync.objects.filter(
        installation=installation_id,
        reason=BUSY,
        state__in=[RepositorySync.State.WAITING, RepositorySync.State.WALKING],
    )
    with db.limit(seconds=LONGEST_WAIT_S):
        counted = list(waiting.filter(state=RepositorySync.State.WALKING).values_list("repository", "sync__sync_id"))
        is_told = waiting.update(not_before=Now(), reason="")
    if not is_told:
        return 0
    return _send_walked(counted) if counted else enqueue_installations([installation_id])


def subject_of(installation_id: int) -> str:
    """Under which name the reconciliation of an installation waits for its turn at GitHub."""
    return f"sync {installation_id}"


def _find_installations() -> None:
    unassigned = dict(rows(_UNASSIGNED, most=MOST_ASSIGNED))
    if not unassigned:
        return
    reached = installation_reaching(set(unassigned.values()))
    assigned = {row: reached[repository] for row, repository in unassigned.items() if repository in reached}
    run(_ASSIGN_INSTALLATION, ids=list(assigned), installations=list(assigned.values()))
    run(_FAIL_UNREACHABLE, ids=[row for row in unassigned if row not in assigned], words=NOT_REACHED)


def _walked(repository_sync_id: int | None) -> list[tuple[int, str]]:
    return rows(_TELL_OF_WALKED, id=repository_sync_id, again=ENQUEUE_AGAIN_AFTER_S, most=MOST_AT_ONCE)


def _send_walked(walked: Sequence[tuple[int, str]]) -> int:
    return wakeups.send(
        [partial(current_app.send_task, SYNC_TASK, args=list(one), retry=False, ignore_result=True) for one in walked]
    )

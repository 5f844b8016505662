"""Taking a walk in hand: one statement that claims it and commits before GitHub is asked for anything."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from apps.activity.models import RepositoryAccess
from apps.common import db
from apps.integrations.access import installation_reaching
from apps.integrations.models import Backfill
from apps.integrations.models.backfills import LEASE, BackfillQuerySet
from apps.integrations.outcomes import SUSPENDED_S, Progress

LONGEST_WAIT_S = 6.0
UNREACHED = (
    "No installation of the App reaches {}: install it on the account that owns the repository, give it the repository"
    " there, and have its team approved. Then let this go on."
)


class ClaimLostError(Exception):
    """Somebody claimed, paused, cancelled or widened the walk meanwhile; what was read for it must not be kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A walk that this worker holds until its lease runs out, and where it is.

    `was_dropped`: it was taken over from a worker that was never heard of again. `sync_id`: the reconciliation whose
    drift it measures, if it is a part of one.
    """

    id: int
    claim_number: int
    was_dropped: bool
    repository_id: int
    full_name: str
    stream: str
    installation_id: int
    since: datetime | None
    until: datetime | None
    started_at: datetime
    cursor: str
    progress: Progress
    sync_id: int | None = None

    @property
    def row(self) -> BackfillQuerySet:
        """Its row, as long as the claim holds and the walk is where this worker left it."""
        return Backfill.objects.filter(pk=self.id, cursor=self.cursor).held(claim_number=self.claim_number)


# The lock comes first, so that nobody waits for a worker that is about to keep a page.
_CLAIM = """
WITH due AS (
    SELECT id, state = 'running' AS was_dropped FROM integrations_backfill
    WHERE id = %(id)s AND (
        (state = 'waiting' AND not_before <= statement_timestamp())
        OR (state = 'running'
            AND (lease_until < statement_timestamp() OR (%(is_redelivered)s AND leased_by = %(task_id)s)))
    )
    FOR UPDATE SKIP LOCKED
)
UPDATE integrations_backfill b
SET state = 'running', claim_number = b.claim_number + 1, leased_by = %(task_id)s, reason = '', rung_at = NULL,
    lease_until = statement_timestamp() + %(lease)s, started_at = coalesce(b.started_at, statement_timestamp()),
    attempts = b.attempts + due.was_dropped::int
FROM due WHERE b.id = due.id
RETURNING b.*, due.was_dropped
"""


def claim(backfill_id: int, *, task_id: str, is_redelivered: bool) -> Claimed | None:
    """Claim the walk if it is due, if whoever walked it is dead, or if this very task held it and was redelivered.

    None if it is not this worker's to walk. Which installation reaches the repository is found anew each time and kept
    on the row; where none does the walk fails, where one is suspended it waits.
    """
    asked = {"id": backfill_id, "task_id": task_id, "is_redelivered": is_redelivered, "lease": LEASE}
    with db.limit(seconds=LONGEST_WAIT_S):
        for row in Backfill.objects.raw(_CLAIM, asked):
            return _with_installation(row)
    return None


def _with_installation(row: Backfill) -> Claimed | None:
    installation_id = installation_reaching([row.repository_id]).get(row.repository_id)
    held = Backfill.objects.filter(pk=row.pk).held(claim_number=row.claim_number)
    if installation_id is None:
        _give_up(held, row=row)
        return None
    if installation_id != row.installation_id:
        held.update(installation=installation_id)
    return _claimed(row, installation_id=installation_id)


def _give_up(held: BackfillQuerySet, *, row: Backfill) -> None:
    suspended = RepositoryAccess.objects.filter(
        repository=row.repository_id,
        has_access=True,
        installation__deleted_at__isnull=True,
        installation__suspended_at__isnull=False,
    )
    if suspended.exists():
        held.put_off(after=timedelta(seconds=SUSPENDED_S), reason="suspended")
    else:
        held.end(Backfill.State.FAILED, reason="no_installation", error=UNREACHED.format(row.repository))


def _claimed(row: Any, *, installation_id: int) -> Claimed:
    """`row` is a Backfill as the claim returned it."""
    return Claimed(
        id=row.pk,
        claim_number=row.claim_number,
        was_dropped=row.was_dropped,
        repository_id=row.repository_id,
        full_name=row.repository.full_name,
        stream=row.stream,
        installation_id=installation_id,
        since=row.since,
        until=row.until,
        started_at=row.started_at,
        cursor=row.cursor,
        sync_id=row.sync_id,
        progress=Progress(
            page_size=row.page_size,
            clean_pages=row.clean_pages,
            attempts=row.attempts,
            steps_over=row.steps_over,
            restarts=row.restarts,
        ),
    )

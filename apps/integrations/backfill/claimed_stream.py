"""What a claimed backfill reads, and by whose access."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.activity.models import RepositoryAccess
from apps.common import db
from apps.integrations.access import installation_reaching
from apps.integrations.models import Backfill
from apps.integrations.outcomes import SUSPENDED_S, Progress
from apps.jobs.models import Job, JobQuerySet

LONGEST_WAIT_S = 6.0
UNREACHED = (
    "No installation of the App reaches {}: install it on the account that owns the repository, give it the repository"
    " there, and have its team approved. Then let this go on."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A stream of a repository that this worker holds until its lease runs out, and where it is.

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
    def row(self) -> JobQuerySet[Job]:
        """Return its row, as long as the claim holds and the job is where this worker left it."""
        return Job.objects.filter(pk=self.id, cursor=self.cursor).held(claim_number=self.claim_number)


def resolve(job: Job) -> Claimed | None:
    """Return what is to be read for a job that was claimed, and by which installation: it is found anew each time.

    Where no installation reaches the repository the job fails, where it is suspended the job waits; both return None.
    """
    row = Backfill.objects.select_related("repository").get(pk=job.pk)
    with db.limit(seconds=LONGEST_WAIT_S):
        installation_id = installation_reaching([row.repository_id]).get(row.repository_id)
        if installation_id is None:
            _give_up(row)
            return None
        if installation_id != row.installation_id:
            job.claim.update(installation=installation_id)
    return _claimed(row, was_dropped=job.was_dropped, installation_id=installation_id)


def _give_up(row: Backfill) -> None:
    suspended = RepositoryAccess.objects.filter(
        repository=row.repository_id,
        has_access=True,
        installation__deleted_at__isnull=True,
        installation__suspended_at__isnull=False,
    )
    if suspended.exists():
        row.claim.put_off(after=timedelta(seconds=SUSPENDED_S), reason="suspended")
    else:
        row.claim.end(Backfill.State.FAILED, reason="no_installation", error=UNREACHED.format(row.repository))


def _claimed(row: Backfill, *, was_dropped: bool, installation_id: int) -> Claimed:
    return Claimed(
        id=row.pk,
        claim_number=row.claim_number,
        was_dropped=was_dropped,
        repository_id=row.repository_id,
        full_name=row.repository.full_name,
        stream=row.stream,
        installation_id=installation_id,
        since=row.since,
        until=row.until,
        started_at=row.started_at or row.created_at,
        cursor=row.cursor,
        sync_id=row.sync_id,
        progress=Progress(
            page_size=row.page_size,
            clean_pages=row.clean_pages,
            attempts=row.attempts,
            skips_item=row.skips_item,
            restarts=row.restarts,
        ),
    )

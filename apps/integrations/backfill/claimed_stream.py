"""A backfill that a worker holds: what it reads, by whose access, and how a page and its outcome are stored.

The facts of a page and the cursor behind it are in one transaction, fenced by the claim.
"""

import logging
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, JSONField, Value
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from apps.activity.coverage import cover
from apps.activity.facts import Source, evidence
from apps.activity.models import Repository, RepositoryAccess
from apps.activity.record import record
from apps.common import db
from apps.common.failpoints import failpoint
from apps.github.payload import EPOCH
from apps.integrations.drift import count_drift
from apps.integrations.models import Backfill
from apps.integrations.outcomes import (
    BUSY,
    FOR_ALL,
    SPENT,
    SUSPENDED_S,
    Fail,
    GoOn,
    Progress,
    Settled,
    StartOver,
    TryAgain,
    Wait,
)
from apps.integrations.readable_installations import installation_reaching
from apps.integrations.reader import Page, Reader, Skipped, storable
from apps.jobs.models import LEASE, Job, JobQuerySet, ensure_held

LONGEST_UPDATE_S = 6.0
LONGEST_COMMIT_S = 12.0
logger = logging.getLogger(__name__)
UNREACHED = (
    "No installation of the App reaches {}: install it on the account that owns the repository, give it the repository"
    " there, and have its team approved. Then let this go on."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A stream of a repository that this worker has claimed until its lease expires, and how far it was read.

    `was_dropped`: it was taken over from a worker that crashed or timed out. `sync_id`: the reconciliation whose
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
    with db.limit(seconds=LONGEST_UPDATE_S):
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


def commit_page(page: Page, claimed: Claimed, *, progress: Progress, reader: Reader) -> Claimed:
    """Record the page's facts and move the cursor behind it, or end the backfill; return the claim as it is then.

    The drift of a backfill that is part of a reconciliation is counted first.
    ClaimLostError if another worker has the claim: then nothing is stored. DatabaseTimeoutError after 12 s.
    """
    with db.limit(seconds=LONGEST_COMMIT_S), transaction.atomic():
        source = Source(kind="api", key=f"backfill {claimed.id}")
        if claimed.sync_id is not None:
            count_drift(page.facts, repository_sync_id=claimed.sync_id, source=source)
        record([evidence(source, page.facts)])
        if page.cursor is None:
            _end(page, claimed, progress=progress, reader=reader)
        else:
            _move(page, claimed, progress=progress, reader=reader)
        failpoint("backfill.before_commit")
    failpoint("backfill.after_commit")
    return replace(claimed, cursor=claimed.cursor if page.cursor is None else page.cursor, progress=progress)


def progress_columns(progress: Progress, *, reader: Reader) -> dict[str, Any]:
    """Return the columns with the progress of the backfill and what it has cost."""
    return {**asdict(progress), "calls": F("calls") + reader.calls, "points": F("points") + reader.points}


def _move(page: Page, claimed: Claimed, *, progress: Progress, reader: Reader) -> None:
    changes = _counted(page, progress=progress, reader=reader)
    ensure_held(claimed.row.update(cursor=page.cursor, lease_until=Now() + LEASE, error="", **changes))


def _end(page: Page, claimed: Claimed, *, progress: Progress, reader: Reader) -> None:
    """End the backfill; if nothing was skipped, the stream is covered up to when the reading began."""
    ensure_held(claimed.row.end(Backfill.State.DONE, **_counted(page, progress=progress, reader=reader)))
    if Backfill.objects.filter(pk=claimed.id, skipped=[]).exists():
        _cover(claimed)


def _cover(claimed: Claimed) -> None:
    to_at = min(claimed.started_at, claimed.until or claimed.started_at)
    from_at = claimed.since or _beginning(claimed.repository_id)
    cover(claimed.stream, repository_id=claimed.repository_id, from_at=min(from_at, to_at), to_at=to_at)


def _beginning(repository_id: int) -> datetime:
    created_at = Repository.objects.values_list("created_at", flat=True).get(pk=repository_id)
    return created_at or EPOCH


def _counted(page: Page, *, progress: Progress, reader: Reader) -> dict[str, Any]:
    counts: dict[str, Any] = {"items": F("items") + page.items, "pages": F("pages") + 1, "advanced_at": Now()}
    if page.total is not None:
        counts["total"] = page.total
    if page.skipped:
        named = Value([_named(one) for one in page.skipped], output_field=JSONField())
        counts["skipped"] = CombinedExpression(F("skipped"), "||", named, output_field=JSONField())
    return counts | progress_columns(progress, reader=reader)


def _named(one: Skipped) -> dict[str, str]:
    return {"what": storable(one.what), "why": storable(one.why)}


def apply_outcome(outcome: Settled, claimed: Claimed, *, reader: Reader, words: str) -> Claimed | None:
    """Apply the outcome and return the claim to go on with, None if it was released; ClaimLostError if it was lost."""
    cost = progress_columns(claimed.progress, reader=reader)
    with db.limit(seconds=LONGEST_UPDATE_S):
        match outcome:
            case GoOn(progress):
                changed = claimed.row.update(**progress_columns(progress, reader=reader))
            case Wait(seconds, reason):
                changed = _wait(claimed, seconds=seconds, reason=reason, words=words, cost=cost)
            case TryAgain(seconds, reason, progress):
                columns = {**progress_columns(progress, reader=reader), "error": storable(words)}
                changed = claimed.row.put_off(after=timedelta(seconds=seconds), reason=reason, **columns)
            case StartOver(progress):
                changed = claimed.row.put_off(
                    after=timedelta(), reason="", **progress_columns(progress, reader=reader), **_AT_THE_TOP
                )
            case Fail(reason, is_cursor_void):
                void = {"cursor": ""} if is_cursor_void else {}
                changed = claimed.row.end(Backfill.State.FAILED, reason=reason, error=storable(words), **cost, **void)
    ensure_held(changed)
    _log(outcome, claimed)
    return replace(claimed, progress=outcome.progress) if isinstance(outcome, GoOn) else None


_AT_THE_TOP: dict[str, Any] = {"cursor": "", "started_at": None, "items": 0, "pages": 0, "total": None, "skipped": []}


def _wait(claimed: Claimed, *, seconds: float, reason: str, words: str, cost: dict[str, Any]) -> int:
    error = {} if reason in {"", BUSY, SPENT, *FOR_ALL} else {"error": storable(words)}
    changed = claimed.row.put_off(after=timedelta(seconds=seconds), reason=reason, **cost, **error)
    if changed and reason in {SPENT, *FOR_ALL} and not claimed.progress.skips_item:
        _put_off_alike(claimed, seconds=seconds, reason=reason)
    return changed


def _put_off_alike(claimed: Claimed, *, seconds: float, reason: str) -> None:
    """Let other backfills wait as long: those of the same stream, or all of them where the reason holds for all."""
    others = Backfill.objects.filter(installation=claimed.installation_id)
    if reason not in FOR_ALL:
        others = others.filter(stream=claimed.stream)
    others.wait_as_well(seconds=seconds, reason=reason)


def _log(outcome: Settled, claimed: Claimed) -> None:
    details = {"backfill": claimed.id, "outcome": type(outcome).__name__, "reason": getattr(outcome, "reason", "")}
    level = logging.WARNING if isinstance(outcome, Fail) else logging.INFO
    logger.log(level, "backfill_page_not_kept", extra=details)

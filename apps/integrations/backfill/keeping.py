"""Keeping a page: its facts and the cursor that follows it in one transaction, fenced by the claim."""

from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, JSONField, Value
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from apps import watchdog
from apps.activity.coverage import cover
from apps.activity.facts import Source, evidence
from apps.activity.models import Repository
from apps.activity.record import record
from apps.crash_points import crash_point
from apps.github.payload import EPOCH
from apps.integrations.backfill.claiming import Claimed, LostClaim
from apps.integrations.backfill.outcomes import Progress
from apps.integrations.backfill.walking import Page, Reader, Skipped
from apps.integrations.backfill.words import storable
from apps.integrations.drift.counting import count_drift
from apps.integrations.models import Backfill
from apps.integrations.models.leases import LEASE

LONGEST_WAIT_S = 12.0


def keep(page: Page, claimed: Claimed, *, progress: Progress, reader: Reader) -> Claimed:
    """Record the page's facts and move the cursor behind it, or end the walk; the claim as it is then.

    A walk that is part of a reconciliation first has it counted how far our tables are off.
    LostClaim if the walk is somebody else's by now: then nothing is kept. TimeIsUp after 12 s.
    """
    with watchdog.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        source = Source(kind="api", key=f"backfill {claimed.id}")
        if claimed.sync_id is not None:
            count_drift(page.facts, repository_sync_id=claimed.sync_id, source=source)
        record([evidence(source, page.facts)])
        if page.cursor is None:
            _end(page, claimed, progress=progress, reader=reader)
        else:
            _move(page, claimed, progress=progress, reader=reader)
        crash_point("backfill.before_commit")
    crash_point("backfill.after_commit")
    return replace(claimed, cursor=claimed.cursor if page.cursor is None else page.cursor, progress=progress)


def learned(progress: Progress, *, reader: Reader) -> dict[str, Any]:
    """How the walk fares and what it has cost, as columns."""
    return {**asdict(progress), "calls": F("calls") + reader.calls, "points": F("points") + reader.points}


def _move(page: Page, claimed: Claimed, *, progress: Progress, reader: Reader) -> None:
    changes = _counted(page, progress=progress, reader=reader)
    if not claimed.row.update(cursor=page.cursor, lease_until=Now() + LEASE, error="", **changes):
        raise LostClaim


def _end(page: Page, claimed: Claimed, *, progress: Progress, reader: Reader) -> None:
    """Where nothing was skipped, the walk has seen all there was when it began: the stream is covered up to then."""
    if not claimed.row.end(Backfill.State.DONE, **_counted(page, progress=progress, reader=reader)):
        raise LostClaim
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
    return counts | learned(progress, reader=reader)


def _named(one: Skipped) -> dict[str, str]:
    return {"what": storable(one.what), "why": storable(one.why)}

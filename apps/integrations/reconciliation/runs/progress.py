"""How far a run has come, and what it found."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet, Sum

from apps.integrations.models import Backfill, Drift, RepositorySync, SyncLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A run at one moment. `walks` are those of it that are read right now, `items` what was read for it so far."""

    sync: SyncLog
    states: Mapping[str, int]
    differing: int
    walks: int
    items: int
    touched: object
    """Changes whenever a worker did something for the run."""

    @property
    def total(self) -> int:
        return sum(self.states.values())

    @property
    def ended(self) -> int:
        """How many of its repositories are through."""
        return self.states.get("done", 0) + self.states.get("failed", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """How far our tables were off in one stream, all repositories of a run together."""

    stream: str
    checked: int
    missing: int
    stale: int
    repaired: int
    deleted: int

    @property
    def off(self) -> int:
        return self.missing + self.stale + self.deleted


def progress_of(sync: SyncLog) -> Progress:
    """How far this run has come, its row read anew."""
    sync.refresh_from_db()
    rows = RepositorySync.objects.filter(sync=sync)
    states = dict(rows.order_by().values_list("state").annotate(count=Count("pk")))
    walks = Backfill.objects.filter(sync__sync=sync)
    read = walks.aggregate(items=Sum("items", default=0), pages=Sum("pages", default=0))
    claims = rows.aggregate(claims=Sum("claim_number", default=0))["claims"]
    return Progress(
        sync=sync,
        states=states,
        differing=rows.exclude(differs=[]).count(),
        walks=walks.unfinished().count(),
        items=read["items"],
        touched=(sync.status, sync.claim_number, sync.is_spread, states, claims, read["pages"]),
    )


def found_in(rows: QuerySet[RepositorySync]) -> list[Found]:
    """What was off in these, stream by stream."""
    drifts = Drift.objects.filter(repository_sync__in=rows.order_by().values("pk"))
    sums = {name: Sum(name) for name in Drift.COUNTS}
    summed: Iterable[Any] = drifts.order_by("stream").values("stream").annotate(**sums)
    return [Found(**one) for one in summed]

"""How far a run has come, and what it found."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q, QuerySet, Sum
from django.db.models.functions import Now

from apps.github.credentials import has_credentials
from apps.integrations.models import Backfill, Drift, RepositorySync, SyncLog
from apps.integrations.reconciliation.schedule import NIGHTLY, database_time, synced_teams


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
        touched=(sync.status, sync.is_fanned_out, states, claims, read["pages"]),
    )


def found_in(rows: QuerySet[RepositorySync]) -> list[Found]:
    """What was off in these, stream by stream."""
    drifts = Drift.objects.filter(repository_sync__in=rows.order_by().values("pk"))
    sums = {name: Sum(name) for name in Drift.COUNTS}
    summed: Iterable[Any] = drifts.order_by("stream").values("stream").annotate(**sums)
    return [Found(**one) for one in summed]


LATE = timedelta(hours=26)
"""A night is a day after the one before it, and may take two hours."""
UNTOUCHED, STUCK = timedelta(minutes=30), timedelta(hours=12)


def reconciliation_problems() -> dict[str, str]:
    """What is wrong, by a stable word, explained; nothing where GitHub cannot be asked at all."""
    return {**_late_night(), **_stuck_runs()} if has_credentials() else {}


def _late_night() -> dict[str, str]:
    since = _without_success_since()
    if since is None or since > database_time() - LATE:
        return {}
    last = SyncLog.objects.filter(scope=NIGHTLY, finished_at__isnull=False).first()
    why = f" The last one failed: {last.error}" if last is not None and last.error else " Do beat and a worker run?"
    words = f"No nightly reconciliation has succeeded since {since:%Y-%m-%d %H:%M} UTC.{why}"
    return {"reconciliation_is_late": words}


def _without_success_since() -> datetime | None:
    """When the last night succeeded, else when the first was to; None where there is nobody to compare for."""
    nights = SyncLog.objects.filter(scope=NIGHTLY)
    last = nights.filter(status=SyncLog.Status.COMPLETED).order_by("-pk").values_list("finished_at", flat=True).first()
    begun = nights.aggregate(first=Min("created_at"))["first"]
    teams: datetime | None = synced_teams().aggregate(first=Min("created_at"))["first"]
    return (last or begun or teams) if teams is not None else None


def _stuck_runs() -> dict[str, str]:
    is_untouched = Q(is_fanned_out=False, not_before__lt=Now() - UNTOUCHED)
    stuck = SyncLog.objects.unfinished().filter(is_untouched | Q(not_before__lt=Now() - STUCK))
    names = list(stuck.order_by("pk").values_list("sync_id", flat=True)[:3])
    if not names:
        return {}
    words = f"Reconciliation does not come to an end: {', '.join(names)}. Do workers serve the queues?"
    return {"reconciliation_is_stuck": f"{words} `manage.py reconcile --list` shows how it stands."}

"""The progress of backfills, and when they will be done."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Case, Count, Exists, F, Min, OuterRef, Sum, When
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from apps.github.rate_limit import BudgetNow, RateBudget, redis_client
from apps.integrations.models import Backfill
from apps.jobs.status import first_wait_of, items_per_s, remaining_s, size_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress of some backfills together.

    `total` is what they will have read at the end, as far as is known; of `unsized` ones it is not, before their first
    page and where GitHub does not say, so the end may be further away than `eta_s`. `waits_until` is set where nothing
    may be read before then.
    """

    states: Mapping[str, int]
    """How many backfills are in each state; states without any are left out."""
    done: int
    total: int
    unsized: int
    items_per_s: float | None
    eta_s: float | None
    calls: int
    points: int
    waits_until: datetime | None
    budgets: Mapping[int, tuple[BudgetNow, ...]]
    """What is left of each installation's hourly limits; nothing where Redis is away or nothing was asked yet."""


def progress_of(backfills: Iterable[Backfill], *, budget: RateBudget | None = None) -> Progress:
    """Return the progress of these backfills together."""
    rows = list(backfills)
    now = timezone.now()
    done = sum(row.items for row in rows)
    total = sum(row.items if (size := size_of(row)) is None else size for row in rows)
    unfinished = [row for row in rows if row.state in Backfill.UNFINISHED]
    rate = items_per_s(rows, now=now)
    waits_until = first_wait_of(unfinished, now=now)
    return Progress(
        states=Counter(row.state for row in rows),
        done=done,
        total=total,
        unsized=sum(size_of(row) is None for row in unfinished),
        items_per_s=rate,
        eta_s=remaining_s(unfinished, rate=rate, waits_until=waits_until, now=now),
        calls=sum(row.calls for row in rows),
        points=sum(row.points for row in rows),
        waits_until=waits_until,
        budgets=budgets_of(rows, budget=budget),
    )


def budgets_of(rows: Iterable[Backfill], *, budget: RateBudget | None = None) -> Mapping[int, tuple[BudgetNow, ...]]:
    """Return what is left of the hourly limits of each installation that reads these; nothing where Redis is away."""
    ids = sorted({row.installation_id for row in rows if row.installation_id is not None})
    asked = budget or RateBudget(redis=redis_client())
    return {installation_id: tuple(asked.read(installation_id)) for installation_id in ids}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """The newest backfills of all streams of all repositories, counted by the database."""

    states: Mapping[str, int]
    done: int
    total: int
    eta_s: float | None

    @property
    def is_unfinished(self) -> bool:
        return any(state in self.states for state in Backfill.UNFINISHED)


def loading_of_all() -> Loading:
    """Return how far the history of the whole instance is loaded; `eta_s` is None until something was read."""
    later = Backfill.objects.filter(repository=OuterRef("repository"), stream=OuterRef("stream"), pk__gt=OuterRef("pk"))
    size = Case(
        When(state__in=Backfill.UNFINISHED, then=Greatest(Coalesce("total", "items"), "items")), default=F("items")
    )
    counted = Backfill.objects.filter(~Exists(later)).order_by().values("state")
    rows = list(counted.annotate(n=Count("pk"), read=Sum("items"), size=Sum(size), begun=Min("started_at")))
    done, total = sum(row["read"] for row in rows), sum(row["size"] for row in rows)
    begun = [row["begun"] for row in rows if row["begun"] is not None]
    took_s = (timezone.now() - min(begun)).total_seconds() if begun else 0.0
    loading = Loading(states={row["state"]: row["n"] for row in rows}, done=done, total=total, eta_s=None)
    is_known = loading.is_unfinished and bool(done) and total > done
    return replace(loading, eta_s=(total - done) * took_s / done) if is_known else loading

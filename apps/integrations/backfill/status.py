"""The progress of backfills, and when they will be done."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

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

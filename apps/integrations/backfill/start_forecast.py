"""What a start would take, before anything is started: calls, points and minutes, stream by stream.

Seconds of GraphQL are from pages of pull requests that others timed: 2.5 to 3.4 s for 25, 4.9 for 50, 8 to 10 for 100.
Those of the other lists are assumed. A connection counts once for each parent; a hundred are a point.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from apps.activity.models import Repository
from apps.github.auth import GitHubAccess
from apps.github.rate_limit import RESERVES, BudgetNow, Priority
from apps.github.responses import CORE, GRAPHQL
from apps.integrations.backfill.github_item_counts import Counting, Effort, Uncounted
from apps.integrations.backfill.start import Scope
from apps.integrations.models import Backfill
from apps.integrations.readable_installations import installation_reaching
from apps.integrations.streams import STREAMS

WINDOW_S = 3600.0
AT_ONCE = {GRAPHQL: 1, CORE: 3}
"""Requests in flight, as the budget allows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What it takes to read something: requests, what they cost of the hourly limit, seconds of GitHub's time."""

    calls: int = 0
    points: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            calls=self.calls + other.calls, points=self.points + other.points, seconds=self.seconds + other.seconds
        )


def cost_of(stream: str, *, items: int, page_size: int) -> Cost:
    """Return the cost of reading so many items of a stream; none cost a call as well."""
    cost = STREAMS[stream].cost
    pages = max(1, math.ceil(items / page_size))
    longer = math.ceil(items * cost.long_lists)
    page_points = max(1, round((1 + cost.nested * min(page_size, items)) / 100)) if cost.resource == GRAPHQL else 1
    return Cost(
        calls=pages + longer,
        points=pages * page_points + longer,
        seconds=(pages + longer) * cost.call_s + items * cost.item_s,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What a limit leaves until its reset, and after each reset, without what is kept for live work."""

    left: float
    resets_in_s: float
    hourly: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """How long it takes, and whether waiting for a limit is part of that."""

    seconds: float
    is_waiting: bool = False


def duration_of(cost: Cost, *, resource: str, window: Window | None) -> Duration:
    """Return how long a cost of one resource takes within its limit; None is no limit."""
    work_s = cost.seconds / AT_ONCE[resource]
    if window is None or not cost.points or cost.points <= window.left:
        return Duration(seconds=work_s)
    rate = cost.points / work_s
    left, at_s, ends_s, available = float(cost.points), 0.0, window.resets_in_s, window.left
    while True:
        read = min(left, max(0.0, available), rate * (ends_s - at_s))
        left -= read
        if left <= 0:
            return Duration(seconds=at_s + read / rate, is_waiting=True)
        at_s, ends_s, available = ends_s, ends_s + WINDOW_S, max(1.0, window.hourly)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamForecast:
    """One stream of all the repositories; `is_estimate`: some of it was not counted but estimated."""

    stream: str
    items: int
    cost: Cost
    is_estimate: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationForecast:
    """One installation's share. Installations are read side by side, each within its own limits."""

    installation_id: int
    cost: Cost
    duration: Duration
    budgets: tuple[BudgetNow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a start would take. Repositories that are not counted, or not reached, are no part of any number."""

    repositories: int
    streams: tuple[StreamForecast, ...]
    installations: tuple[InstallationForecast, ...]
    uncounted: tuple[Uncounted, ...]
    unreachable: tuple[Repository, ...]
    under_way: int
    """How many backfills of these streams and repositories are unfinished already: a start continues them."""

    @property
    def cost(self) -> Cost:
        return sum((each.cost for each in self.streams), Cost())

    @property
    def duration(self) -> Duration:
        """Return the installation that takes longest: the others are done before."""
        durations = (each.duration for each in self.installations)
        return max(durations, key=lambda each: each.seconds, default=Duration(seconds=0.0))


def forecast(repositories: QuerySet[Repository], *, scope: Scope, access: GitHubAccess, effort: Effort) -> Forecast:
    """Ask GitHub how much there is, for about a point per 20 repositories, and say what reading it takes.

    NoCredentialsError where GitHub cannot be asked.
    """
    wanted = list(repositories.filter(deleted_at__isnull=True))
    reached = installation_reaching([repository.pk for repository in wanted])
    by_installation: dict[int, list[Repository]] = defaultdict(list)
    for repository in wanted:
        if repository.pk in reached:
            by_installation[reached[repository.pk]].append(repository)
    counted = [
        _count(of_installation, installation_id=installation_id, scope=scope, access=access, effort=effort)
        for installation_id, of_installation in by_installation.items()
    ]
    return Forecast(
        repositories=sum(len(counting.items) for counting in counted),
        streams=tuple(_of_stream(stream, counted) for stream in dict.fromkeys(scope.streams)),
        installations=tuple(_of_installation(counting, scope=scope, access=access) for counting in counted),
        uncounted=tuple(each for counting in counted for each in counting.uncounted),
        unreachable=tuple(repository for repository in wanted if repository.pk not in reached),
        under_way=Backfill.objects.unfinished().filter(repository__in=reached, stream__in=scope.streams).count(),
    )


def _count(
    repositories: Sequence[Repository],
    *,
    installation_id: int,
    scope: Scope,
    access: GitHubAccess,
    effort: Effort,
) -> Counting:
    counting = Counting(access=access, installation_id=installation_id, scope=scope, effort=effort)
    counting.count(repositories)
    return counting


def _of_stream(stream: str, counted: Iterable[Counting]) -> StreamForecast:
    sizes = [items[stream] for counting in counted for items in counting.items.values()]
    return StreamForecast(
        stream=stream,
        items=sum(sizes),
        cost=_cost(stream, sizes),
        is_estimate=any(stream in counting.estimated for counting in counted),
    )


def _of_installation(counting: Counting, *, scope: Scope, access: GitHubAccess) -> InstallationForecast:
    """Return the forecast of an installation: its resources are read at the same time, so the slower one counts."""
    costs: dict[str, Cost] = defaultdict(Cost)
    for stream in dict.fromkeys(scope.streams):
        costs[STREAMS[stream].cost.resource] += _cost(stream, [items[stream] for items in counting.items.values()])
    budgets = access.client.budget.read(counting.installation_id)
    durations = [
        duration_of(cost, resource=resource, window=_window(resource, budgets, now_s=access.client.clock()))
        for resource, cost in costs.items()
    ]
    return InstallationForecast(
        installation_id=counting.installation_id,
        cost=sum(costs.values(), Cost()),
        duration=max(durations, key=lambda each: each.seconds),
        budgets=tuple(budgets),
    )


def _cost(stream: str, sizes: Iterable[int]) -> Cost:
    page_size = STREAMS[stream].page_size
    return sum((cost_of(stream, items=items, page_size=page_size) for items in sizes), Cost())


def _window(resource: str, budgets: Iterable[BudgetNow], *, now_s: float) -> Window | None:
    """Return what a backfill may use of a resource: some of it stays for live work. None where no limit is known."""
    known = next((each for each in budgets if each.resource == resource), None)
    if known is None:
        return None
    kept = known.limit * RESERVES[Priority.BACKFILL]
    return Window(
        left=max(0.0, known.remaining - kept),
        resets_in_s=max(0.0, known.resets_at - now_s),
        hourly=known.limit - kept,
    )

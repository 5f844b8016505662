"""What a start would take, before anything is started: calls, points and minutes, stream by stream."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from apps.activity.models import Repository
from apps.github.auth import GitHubAccess
from apps.github.rate_limit import RESERVES, BudgetNow, Priority
from apps.integrations.access import installation_reaching
from apps.integrations.backfill.cost_model import Cost, Duration, Window, cost_of, duration_of
from apps.integrations.backfill.estimate import Counting, Effort, Uncounted
from apps.integrations.backfill.start import Scope
from apps.integrations.models import Backfill
from apps.integrations.streams import STREAMS


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamForecast:
    """One stream of all the repositories; `is_estimate`: some of it was judged by the rest and not counted."""

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
    """How many backfills of these streams and repositories are unfinished already: a start goes on with them."""

    @property
    def cost(self) -> Cost:
        return sum((each.cost for each in self.streams), Cost())

    @property
    def duration(self) -> Duration:
        """The installation that takes longest: the others are done before."""
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
    """The resources are read side by side: the slower one counts."""
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
    """What a backfill may use of a resource: some of it stays for live work. None where no limit is known."""
    known = next((each for each in budgets if each.resource == resource), None)
    if known is None:
        return None
    kept = known.limit * RESERVES[Priority.BACKFILL]
    return Window(
        left=max(0.0, known.remaining - kept),
        resets_in_s=max(0.0, known.resets_at - now_s),
        hourly=known.limit - kept,
    )

"""What the page of backfills shows: repository by repository, how the walk through each stream stands."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.utils import timezone

from apps.activity.models import Installation, Repository
from apps.integrations.backfill.status import Outlook, budgets_of, eta_s_of, outlook_of, size_of
from apps.integrations.models import Backfill
from apps.teams.visibility import repositories_administered_by, repositories_visible_to

State = Backfill.State
GOING = (State.WAITING, State.RUNNING)
ORDER = {stream: place for place, stream in enumerate(Backfill.Stream.values)}
UNTOUCHED = timedelta(minutes=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """The newest walk through one stream."""

    row: Backfill
    outlook: Outlook

    @property
    def is_queued(self) -> bool:
        """Whether there is no more to tell than that its turn will come."""
        return self.row.state == State.WAITING and not (self.row.started_at or self.outlook.why)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One repository's walks, as one person may see them and change them."""

    repository: Repository
    walks: tuple[Walk, ...]
    eta_s: float | None
    may_change: bool

    @property
    def told(self) -> list[Walk]:
        return [walk for walk in self.walks if not walk.is_queued]

    @property
    def queued(self) -> list[Walk]:
        return [walk for walk in self.walks if walk.is_queued]

    @property
    def bounds(self) -> Backfill | None:
        """A row that speaks for the bounds of all of them, if they have the same."""
        return self.rows[0] if len({(row.since, row.until) for row in self.rows}) == 1 else None

    @property
    def rows(self) -> list[Backfill]:
        return [walk.row for walk in self.walks]

    @property
    def states(self) -> Mapping[str, int]:
        """How many walks are in each state, in the order of the states; those without any are left out."""
        counted = Counter(row.state for row in self.rows)
        return {state: counted[state] for state in State.values if counted[state]}

    @property
    def is_open(self) -> bool:
        """Whether somebody may want to see more than that all is done."""
        return set(self.states) != {State.DONE}

    @property
    def read(self) -> int:
        return sum(row.items for row in self.rows)

    @property
    def total(self) -> int | None:
        """How many there are in all; None while that is not known of every stream."""
        sizes = [size_of(row) for row in self.rows]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def calls(self) -> int:
        return sum(row.calls for row in self.rows)

    @property
    def points(self) -> int:
        return sum(row.points for row in self.rows)

    @property
    def started_at(self) -> datetime:
        return max(row.created_at for row in self.rows)

    @property
    def changes(self) -> Iterator[str]:
        """What may be done about the walks as they stand."""
        if State.FAILED in self.states:
            yield "retry"
        if State.PAUSED in self.states:
            yield "resume"
        if set(GOING) & set(self.states):
            yield "pause"
        if set(Backfill.UNFINISHED) & set(self.states):
            yield "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One of GitHub's hourly limits, as it stands for the App on an account."""

    account: str
    resource: str
    left: int
    limit: int
    resets_at: datetime


def repositories_with_history(user: Any) -> QuerySet[Repository]:
    """The person's repositories that were ever walked: those that are now come first, then the newest start."""
    walks = Backfill.objects.filter(repository=OuterRef("pk"))
    return (
        repositories_visible_to(user)
        .annotate(newest=Subquery(walks.order_by("-id").values("id")[:1]), is_walked=Exists(walks.unfinished()))
        .filter(newest__isnull=False)
        .order_by("-is_walked", "-newest")
    )


def failing(repositories: QuerySet[Repository]) -> QuerySet[Repository]:
    """Those of which something failed and was not started anew."""
    later = Backfill.objects.filter(repository=OuterRef("repository"), stream=OuterRef("stream"), pk__gt=OuterRef("pk"))
    failed = Backfill.objects.filter(~Exists(later), repository=OuterRef("pk"), state=State.FAILED)
    return repositories.filter(Exists(failed))


def histories_of(repositories: Sequence[Repository], *, user: Any) -> list[History]:
    """The newest walk of each stream of the repositories, in their order."""
    now = timezone.now()
    ids = [repository.pk for repository in repositories]
    newest = Backfill.objects.filter(repository__in=ids).order_by("repository", "stream", "-pk")
    walks = defaultdict(list)
    for row in newest.distinct("repository", "stream"):
        walks[row.repository_id].append(Walk(row=row, outlook=outlook_of(row, now=now)))
    administered = set(repositories_administered_by(user).filter(pk__in=ids).values_list("pk", flat=True))
    return [
        History(
            repository=repository,
            walks=tuple(sorted(walks[repository.pk], key=lambda walk: ORDER[walk.row.stream])),
            eta_s=eta_s_of([walk.row for walk in walks[repository.pk]], now=now),
            may_change=repository.pk in administered,
        )
        for repository in repositories
    ]


def limits_of(histories: Sequence[History]) -> list[Limit]:
    """What is left of the limits of the installations that have something to read."""
    known = budgets_of([row for history in histories for row in history.rows if row.state in Backfill.UNFINISHED])
    installations = Installation.objects.filter(pk__in=known).select_related("account").order_by("pk")
    return [
        Limit(
            account=str(installation.account or installation),
            resource=budget.resource,
            left=budget.remaining,
            limit=budget.limit,
            resets_at=datetime.fromtimestamp(budget.resets_at, UTC),
        )
        for installation in installations
        for budget in known[installation.pk]
    ]


def is_nobody_reading() -> bool:
    """Whether walks have been due for minutes and no worker took any."""
    since = timezone.now() - UNTOUCHED
    if not Backfill.objects.filter(state=State.WAITING, not_before__lt=since).exists():
        return False
    return not (
        Backfill.objects.filter(state=State.RUNNING).exists()
        or Backfill.objects.unfinished().filter(advanced_at__gte=since).exists()
    )

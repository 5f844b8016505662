"""The history of repositories as it is loaded: the newest backfill of each stream, and the limits it is read within."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from apps.activity.models import Installation, Repository
from apps.github.rate_limit import RateBudget, redis_client
from apps.integrations.models import Backfill
from apps.integrations.streams import STREAM_NAMES
from apps.jobs.models import Job
from apps.jobs.status import JobStatus, eta_s_of, size_of, status_of

State = Backfill.State
ORDER = {stream: place for place, stream in enumerate(STREAM_NAMES)}


def changes_of(states: Collection[str]) -> Iterator[str]:
    """Yield the changes that jobs in these states allow."""
    if State.FAILED in states:
        yield "retry"
    if State.PAUSED in states:
        yield "resume"
    if {State.WAITING, State.RUNNING} & set(states):
        yield "pause"
    if set(Job.UNFINISHED) & set(states):
        yield "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamBackfill:
    """The newest backfill of a stream."""

    row: Backfill
    status: JobStatus

    @property
    def changes(self) -> Iterator[str]:
        """Yield the changes that its state allows."""
        return changes_of([self.row.state])

    @property
    def is_queued(self) -> bool:
        """Return whether it only waits to be started."""
        return self.row.state == State.WAITING and not (self.row.started_at or self.status.why)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The newest backfills of a repository, as a user may see and change them."""

    repository: Repository
    streams: tuple[StreamBackfill, ...]
    eta_s: float | None
    may_change: bool

    @property
    def begun(self) -> list[StreamBackfill]:
        return [each for each in self.streams if not each.is_queued]

    @property
    def queued(self) -> list[StreamBackfill]:
        return [each for each in self.streams if each.is_queued]

    @property
    def bounds(self) -> Backfill | None:
        """Return a row with the bounds of all rows, if they are the same."""
        return self.rows[0] if len({(row.since, row.until) for row in self.rows}) == 1 else None

    @property
    def rows(self) -> list[Backfill]:
        return [each.row for each in self.streams]

    @property
    def states(self) -> Mapping[str, int]:
        """Return the number of backfills by state, in the order of the states; empty states are left out."""
        counted = Counter(row.state for row in self.rows)
        return {state: counted[state] for state in State.values if counted[state]}

    @property
    def is_open(self) -> bool:
        """Return whether any backfill is not done."""
        return set(self.states) != {State.DONE}

    @property
    def read(self) -> int:
        return sum(row.items for row in self.rows)

    @property
    def total(self) -> int | None:
        """Return the number of items of all streams; None while one is unknown."""
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
        """Yield the changes that the states allow."""
        return changes_of(self.states)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """An hourly rate limit of the App on an account."""

    account: str
    resource: str
    left: int
    limit: int
    resets_at: datetime

    @property
    def percent(self) -> int:
        """Return how much of the limit is left."""
        return 100 * self.left // max(1, self.limit)


def repositories_with_history(repositories: QuerySet[Repository], *, state: str) -> QuerySet[Repository]:
    """Return those with backfills, or with one in the state that was not started anew since: unfinished ones first."""
    rows = Backfill.objects.filter(repository=OuterRef("pk"))
    found = repositories.annotate(
        newest=Subquery(rows.order_by("-id").values("id")[:1]), is_unfinished=Exists(rows.unfinished())
    ).filter(newest__isnull=False)
    if state:
        later = Backfill.objects.filter(
            repository=OuterRef("repository"), stream=OuterRef("stream"), pk__gt=OuterRef("pk")
        )
        found = found.filter(Exists(rows.filter(Q(~Exists(later)), state=state)))
    return found.order_by("-is_unfinished", "-newest")


def histories_of(
    repositories: Sequence[Repository] | QuerySet[Repository], *, administered: Collection[int]
) -> list[History]:
    """Return the newest backfill of each stream of the repositories, as `repositories_with_history` orders them."""
    now = timezone.now()
    newest = Backfill.objects.filter(repository__in=repositories).select_related("repository")
    streams: dict[Repository, list[StreamBackfill]] = defaultdict(list)
    for row in newest.order_by("repository", "stream", "-pk").distinct("repository", "stream"):
        streams[row.repository].append(StreamBackfill(row=row, status=status_of(row, now=now)))
    found = [
        History(
            repository=repository,
            streams=tuple(sorted(own, key=lambda each: ORDER.get(each.row.stream, len(ORDER)))),
            eta_s=eta_s_of([each.row for each in own], now=now),
            may_change=repository.pk in administered,
        )
        for repository, own in streams.items()
    ]
    return sorted(found, key=_newest_last, reverse=True)


def _newest_last(history: History) -> tuple[bool, int]:
    return bool(set(history.states) & set(Job.UNFINISHED)), max(row.pk for row in history.rows)


def limits_of(installations: QuerySet[Installation]) -> list[Limit]:
    """Return what is left of the installations' hourly limits; nothing where Redis is away or nothing was asked yet."""
    budget = RateBudget(redis=redis_client())
    return [
        Limit(
            account=str(installation.account or installation),
            resource=known.resource,
            left=known.remaining,
            limit=known.limit,
            resets_at=datetime.fromtimestamp(known.resets_at, UTC),
        )
        for installation in installations.select_related("account").order_by("pk")
        for known in budget.read(installation.pk)
    ]

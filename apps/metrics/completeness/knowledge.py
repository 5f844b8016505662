"""Reading what is known of repositories: two statements, however many there are, besides what apps above tell."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q

from apps.activity.facts import Stamp
from apps.activity.models import Coverage, Repository
from apps.metrics.completeness.gaps import Stretch, common, cut_off, left_of, united
from apps.metrics.completeness.providers import doubted, held_back
from apps.metrics.completeness.streams import EVERY_STREAM, Stream, untold

MARGIN = timedelta(hours=1)
"""A loss is dated by our clock, and by when we were told of it."""
EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """One repository as the tables have it.

    `passes`: what walks and comparisons covered, united, of each stream. `losses`: when an installation lost it, as
    far as that is remembered. `lost_at` is set while nobody reaches it; `is_reached` also is false for one that never
    was. `held_at`: when the oldest delivery of it came that has no effect. `doubt`: from the first to the last delivery
    without effect that may or may not have been about it. `untold`: the streams of which nobody sends all webhooks.
    """

    repository_id: int
    full_name: str
    created_at: datetime | None
    is_reached: bool
    lost_at: datetime | None
    losses: tuple[datetime, ...]
    held_at: datetime | None
    doubt: Stretch | None
    passes: Mapping[Stream, Sequence[Stretch]]
    untold: frozenset[Stream] = frozenset()

    @property
    def ends_at(self) -> datetime:
        """From when on nothing can come of it any more; never, while it is reached."""
        return EVER if self.lost_at is None else self.lost_at - MARGIN

    def begins_at(self, stream: Stream) -> datetime | None:
        """Where what was read of the stream begins; None where nothing was."""
        passes = self.passes.get(stream)
        return passes[0].from_at if passes else None

    def covered(self, stream: Stream, *, log: Sequence[Stretch]) -> list[Stretch]:
        """The time of which everything of the stream is here: read, or told by webhooks that GitHub's log bears out.

        The log, united, counts from where reading began, and only while the repository was reached; for a stream of
        which the App is not sent the webhooks it says nothing.
        """
        passes = self.passes.get(stream)
        if not passes:
            return []
        told = common(log, within=self._heard(passes)) if log and stream not in self.untold else ()
        return united([*passes, *told])

    def complete_until(self, stream: Stream, *, covered: Sequence[Stretch]) -> datetime | None:
        """The end of what is covered, and never after the oldest delivery without effect; None if nothing is."""
        if not covered:
            return None
        return covered[-1].to_at if self.held_at is None else min(covered[-1].to_at, self.held_at)

    def unhindered(self, covered: Sequence[Stretch]) -> list[Stretch]:
        """What of the covered time no delivery without effect, and no loss, puts in doubt."""
        until = min(self.ends_at, self.held_at or EVER)
        return list(covered) if until == EVER else cut_off(covered, at=until)

    def _heard(self, passes: Sequence[Stretch]) -> list[Stretch]:
        """When webhooks told everything: since reading began, but for the time after each loss."""
        if not self.is_reached and self.lost_at is None:
            return []
        since = Stretch(passes[0].from_at, max(passes[0].from_at, self.ends_at))
        return list(left_of(since, united(self._unheard(passes))))

    def _unheard(self, passes: Sequence[Stretch]) -> Iterator[Stretch]:
        """From each loss, or doubt, until the first pass that began afterwards.

        To be read at all, the repository had to be reached again, and what was read needs no delivery.
        """
        for lost_at in self.losses:
            yield Stretch(lost_at - MARGIN, _first_end(passes, since=lost_at))
        if self.doubt is not None:
            yield Stretch(self.doubt.from_at, _first_end(passes, since=self.doubt.to_at))


def _first_end(passes: Sequence[Stretch], *, since: datetime) -> datetime:
    return next((one.to_at for one in passes if one.to_at >= since), EVER)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ACCESS = (
    "accesses__has_access",
    "accesses__stamp",
    "accesses__lost_at",
    "accesses__installation__deleted_at",
    "accesses__installation__suspended_at",
    "accesses__installation__last_suspended_at",
    "accesses__installation__events",
)

Passes = dict[int, dict[Stream, list[Stretch]]]


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """Repositories that were not deleted, and the time of which GitHub's log of deliveries was walked whole."""

    log: Sequence[Stretch]
    repositories: Sequence[Tracked]


@dataclass(slots=True)
class Reach:
    """Who reaches a repository, as rows of access tell one after the other."""

    full_name: str
    created_at: datetime | None
    has_rows: bool = False
    is_reached: bool = False
    losses: list[datetime] = field(default_factory=list)
    untold: frozenset[Stream] = frozenset(EVERY_STREAM)

    def hear(self, has_access: bool, stamp: str, lost_at: datetime | None, *rest: Any) -> None:
        """Of one installation: whether it has access, when it lost it, when it ended or was suspended, what it sends.

        An installation that ends, or is suspended, loses all of its repositories; GitHub names none of them then. Which
        events it sends may not have been told yet: then it is taken to send them all.
        """
        self.has_rows = True
        *ends, events = rest
        deleted_at, suspended_at, _ = ends
        if has_access and deleted_at is None and suspended_at is None:
            self.is_reached = True
            self.untold &= frozenset() if events is None else untold(events)
        if lost_at is not None:
            self.losses.append(lost_at)
        elif not has_access:
            self.losses.append(Stamp.moment_of(stamp) or EPOCH)
        if has_access:
            self.losses += [at for at in ends if at is not None]


def read_knowledge(repository_ids: Collection[int], *, streams: Collection[Stream]) -> Knowledge:
    """What is known of these streams of the repositories; those that were deleted are left out."""
    ids = list(repository_ids)
    log, passes = _coverage(ids, streams=streams)
    held, doubts = held_back(ids), doubted(ids)
    return Knowledge(
        log=log,
        repositories=[
            Tracked(
                repository_id=repository_id,
                full_name=reach.full_name,
                created_at=reach.created_at,
                is_reached=reach.is_reached,
                lost_at=max(reach.losses) if reach.has_rows and not reach.is_reached else None,
                losses=tuple(reach.losses),
                untold=reach.untold if reach.is_reached else frozenset(),
                held_at=held.get(repository_id),
                doubt=Stretch(*doubts[repository_id]) if repository_id in doubts else None,
                passes=passes.get(repository_id, {}),
            )
            for repository_id, reach in _reaches(ids).items()
        ],
    )


def _coverage(ids: Collection[int], *, streams: Collection[Stream]) -> tuple[list[Stretch], Passes]:
    """The log's stretches, and those of each stream of each repository; both united."""
    named = {str(stream): stream for stream in streams}
    rows = Coverage.objects.filter(Q(repository__in=ids, stream__in=named) | Q(repository=None))
    log: list[Stretch] = []
    passes: Passes = {}
    for repository_id, stream, *stretch in rows.values_list("repository_id", "stream", "from_at", "to_at"):
        if repository_id is None:
            log.append(Stretch(*stretch))
        else:
            passes.setdefault(repository_id, {}).setdefault(named[stream], []).append(Stretch(*stretch))
    for by_stream in passes.values():
        by_stream.update({stream: united(found) for stream, found in by_stream.items() if len(found) > 1})
    return united(log), passes


def _reaches(ids: Collection[int]) -> dict[int, Reach]:
    rows = Repository.objects.filter(pk__in=ids, deleted_at=None).order_by("pk")
    found: dict[int, Reach] = {}
    for repository_id, full_name, created_at, *access in rows.values_list("pk", "full_name", "created_at", *ACCESS):
        reach = found.setdefault(repository_id, Reach(full_name, created_at))
        if access[0] is not None:
            reach.hear(*access)
    return found

"""Up to when everything is here of some repositories and streams, and where before then something may be missing."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from apps.metrics.completeness.gaps import Gap, Piece, Reason, Stretch, gathered, left_of
from apps.metrics.completeness.knowledge import Knowledge, Tracked
from apps.metrics.completeness.providers import is_history_readable
from apps.metrics.completeness.streams import EVERY_STREAM, Stream, in_order

STALE_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """`complete_until` is None where it is not provable; then `unread` names what was not read to its end.

    Later than `complete_until` nothing is a gap: it is not known yet. `held_repository_ids` are those of which a
    delivery came just then that has no effect.
    """

    complete_until: datetime | None
    gaps: tuple[Gap, ...]
    held_repository_ids: tuple[int, ...] = ()
    unread: tuple[Stream, ...] = ()
    unread_repository_ids: tuple[int, ...] = ()
    has_repositories: bool = True

    def is_stale(self, *, now: datetime) -> bool:
        """Whether it is older than somebody who reads figures would think."""
        return self.complete_until is not None and now - self.complete_until > STALE_AFTER


@dataclass(frozen=True)
class Report:
    """Answers about the same repositories, for one choice of streams after the other."""

    knowledge: Knowledge
    _covered: dict[tuple[int, Stream], list[Stretch]] = field(default_factory=dict)

    @cached_property
    def names(self) -> dict[int, str]:
        """What the repositories are called, by their ids."""
        return {one.repository_id: one.full_name for one in self.knowledge.repositories}

    @cached_property
    def is_history_readable(self) -> bool:
        """Whether GitHub can be asked for what is missing; asked once, and only if somebody wants to know."""
        return is_history_readable()

    def of_team(
        self, *, end_at: datetime, start_at: datetime | None = None, streams: Collection[Stream] = EVERY_STREAM
    ) -> Completeness:
        """Of all the repositories together, between the two instants; without a start, from where reading began.

        A repository that nobody reaches any more holds nothing back: it counts up to when it was lost, and that it
        was is said in a gap. Only where nobody reaches any of them, the one that was complete for longest counts.
        """
        repositories = self.knowledge.repositories
        holding = [one for one in repositories if one.lost_at is None]
        ends = [self.complete_until(one, streams=streams) for one in holding or repositories]
        known = [at for at in ends if at is not None]
        if not known or (holding and len(known) < len(ends)):
            return self._not_provable(holding or repositories, streams=streams)
        until = min(known) if holding else max(known)
        pieces: list[Piece] = []
        for one in repositories:
            pieces += self._pieces(one, streams=streams, start_at=start_at, end_at=min(until, end_at))
            pieces += _lost(one, streams=streams, start_at=start_at, end_at=end_at)
        held = (one.repository_id for one in repositories if one.held_at == until)
        return Completeness(complete_until=until, gaps=gathered(pieces), held_repository_ids=tuple(held))

    def of_each(self, *, now: datetime) -> dict[int, Completeness]:
        """Of each repository by itself, from where reading began, by its id."""
        return {
            one.repository_id: Report(Knowledge(log=self.knowledge.log, repositories=[one]), self._covered).of_team(
                end_at=now
            )
            for one in self.knowledge.repositories
        }

    def complete_until(self, repository: Tracked, *, streams: Collection[Stream]) -> datetime | None:
        """The least over the streams; None if of one of them nothing is covered."""
        least: datetime | None = None
        for stream in streams:
            until = repository.complete_until(stream, covered=self._cover(repository, stream))
            if until is None:
                return None
            least = until if least is None else min(least, until)
        return least

    def _cover(self, repository: Tracked, stream: Stream) -> list[Stretch]:
        key = repository.repository_id, stream
        found = self._covered.get(key)
        if found is None:
            found = self._covered[key] = repository.covered(stream, log=self.knowledge.log)
        return found

    def _pieces(
        self, repository: Tracked, *, streams: Collection[Stream], start_at: datetime | None, end_at: datetime
    ) -> Iterator[Piece]:
        """What is missing of the repository up to then, or up to when it was lost."""
        end_at = min(end_at, repository.ends_at)
        for stream in streams:
            read_from = repository.begins_at(stream)
            from_at = _later(start_at or read_from, repository.created_at)
            if from_at is None or from_at >= end_at:
                continue
            whole = Stretch(from_at, end_at)
            for left in left_of(whole, repository.unhindered(self._cover(repository, stream))):
                reason = Reason.UNREAD if read_from is not None and left.to_at > read_from else Reason.HISTORY
                yield Piece(reason, left, stream, repository.repository_id)

    def _not_provable(self, repositories: Sequence[Tracked], *, streams: Collection[Stream]) -> Completeness:
        unread = [(one, stream) for one in repositories for stream in streams if not self._cover(one, stream)]
        return Completeness(
            complete_until=None,
            gaps=(),
            unread=in_order(frozenset(stream for _, stream in unread)),
            unread_repository_ids=tuple(sorted({one.repository_id for one, _ in unread})),
            has_repositories=bool(repositories),
        )


def _lost(
    repository: Tracked, *, streams: Collection[Stream], start_at: datetime | None, end_at: datetime
) -> Iterator[Piece]:
    """That the repository was lost within the time; one lost before is none of those that are read in it."""
    if repository.lost_at is None or not (start_at or repository.ends_at) <= repository.ends_at < end_at:
        return
    stretch = Stretch(repository.ends_at, end_at)
    yield from (Piece(Reason.OUT_OF_REACH, stretch, stream, repository.repository_id) for stream in streams)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one, other) if one is not None and other is not None else one

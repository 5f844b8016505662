"""Reports: up to when repositories and streams are complete, and the gaps before then."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from apps.metrics.completeness.gaps import Gap, Missing, Period, Reason, gather_gaps, subtract
from apps.metrics.completeness.knowledge import EPOCH, EVER, Knowledge, TrackedRepository
from apps.metrics.completeness.providers import is_history_readable
from apps.metrics.completeness.streams import every_stream, in_order

STALE_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """`complete_until` is None where it is unverified; then `unread` names the streams that were not read to their end.

    Nothing after `complete_until` is a gap: it is not known yet. `blocked_repository_ids` are the repositories whose
    unprocessed delivery arrived just then.
    """

    complete_until: datetime | None
    gaps: tuple[Gap, ...]
    blocked_repository_ids: tuple[int, ...] = ()
    unread: tuple[str, ...] = ()
    unread_repository_ids: tuple[int, ...] = ()
    has_repositories: bool = True

    def is_stale(self, *, now: datetime) -> bool:
        """Return whether it ended longer ago than a reader of figures would expect."""
        return self.complete_until is not None and now - self.complete_until > STALE_AFTER


@dataclass(frozen=True, slots=True)
class CompleteTime:
    """The time of which a stream is complete of all repositories but some others."""

    from_at: datetime
    to_at: datetime
    others: Sequence[TrackedRepository]


@dataclass(frozen=True)
class Report:
    """The completeness of the same repositories for any choice of streams."""

    knowledge: Knowledge
    _covered: dict[tuple[int, str], list[Period]] = field(default_factory=dict)
    _of_team: dict[tuple[Any, ...], Completeness] = field(default_factory=dict)
    _complete: dict[str, "CompleteTime"] = field(default_factory=dict)
    _ends: dict[str, datetime | None] = field(default_factory=dict)

    @cached_property
    def names(self) -> dict[int, str]:
        """Return the names of the repositories by id."""
        return {one.repository_id: one.full_name for one in self.knowledge.repositories}

    @cached_property
    def is_history_readable(self) -> bool:
        """Return whether GitHub can be read for what is missing; checked once, and only when needed."""
        return is_history_readable()

    def of_team(
        self, *, end_at: datetime, start_at: datetime | None = None, streams: Collection[str] | None = None
    ) -> Completeness:
        """Return the completeness of all the repositories together between two instants.

        Without a start, it counts from where reading began. A repository that was lost does not hold the others back:
        it counts up to its loss, and a gap says so. If all were lost, the one that was complete for longest counts.
        """
        asked = start_at, end_at, tuple(every_stream() if streams is None else streams)
        if asked not in self._of_team:
            self._of_team[asked] = self._find(*asked)
        return self._of_team[asked]

    def _find(self, start_at: datetime | None, end_at: datetime, streams: tuple[str, ...]) -> Completeness:
        repositories = self.knowledge.repositories
        until = self._until(streams)
        if until is None:
            return self._unverified(self._reached or repositories, streams=streams)
        missing: list[Missing] = []
        for stream in streams:
            for one in self._incomplete(stream, start_at=start_at, end_at=min(until, end_at)):
                missing += self._missing(one, stream=stream, start_at=start_at, end_at=min(until, end_at))
        for one in repositories:
            missing += _lost(one, streams=streams, start_at=start_at, end_at=end_at)
        blocked = (one.repository_id for one in repositories if one.blocked_at == until)
        return Completeness(complete_until=until, gaps=gather_gaps(missing), blocked_repository_ids=tuple(blocked))

    @cached_property
    def _reached(self) -> list[TrackedRepository]:
        return [one for one in self.knowledge.repositories if one.lost_at is None]

    def _until(self, streams: Sequence[str]) -> datetime | None:
        """Return the earliest over streams and repositories; None if nothing of one of them is covered."""
        if self._reached:
            return _earliest(self._end(stream) for stream in streams)
        ends = (self.complete_until(one, streams=streams) for one in self.knowledge.repositories)
        return max((at for at in ends if at is not None), default=None)

    def _end(self, stream: str) -> datetime | None:
        """Return until when a stream is complete of all repositories that are reached; read once for all figures."""
        if stream not in self._ends:
            self._ends[stream] = _earliest(self.complete_until(one, streams=[stream]) for one in self._reached)
        return self._ends[stream]

    def of_some(self, repository_ids: Collection[int]) -> "Report":
        """Return the report on these of the repositories alone."""
        ids = frozenset(repository_ids)
        kept = [one for one in self.knowledge.repositories if one.repository_id in ids]
        return Report(Knowledge(log=self.knowledge.log, repositories=kept), self._covered)

    def of_each(self, *, now: datetime) -> dict[int, Completeness]:
        """Return the completeness of each repository, from where reading began, by id."""
        return {
            one.repository_id: Report(Knowledge(log=self.knowledge.log, repositories=[one]), self._covered).of_team(
                end_at=now
            )
            for one in self.knowledge.repositories
        }

    def complete_until(self, repository: TrackedRepository, *, streams: Collection[str]) -> datetime | None:
        """Return the earliest over the streams; None if nothing of one of them is covered."""
        return _earliest(
            repository.complete_until(stream, covered=self._cover(repository, stream)) for stream in streams
        )

    def _cover(self, repository: TrackedRepository, stream: str) -> list[Period]:
        key = repository.repository_id, stream
        found = self._covered.get(key)
        if found is None:
            found = self._covered[key] = repository.covered(stream, log=self.knowledge.log)
        return found

    def _incomplete(self, stream: str, *, start_at: datetime | None, end_at: datetime) -> Sequence[TrackedRepository]:
        """Return the repositories of which some of the time may be missing; most are complete at one look at all."""
        if stream not in self._complete:
            self._complete[stream] = self._summarise(stream)
        complete = self._complete[stream]
        is_covered = (start_at is None or start_at >= complete.from_at) and end_at <= complete.to_at
        return complete.others if is_covered else self.knowledge.repositories

    def _summarise(self, stream: str) -> "CompleteTime":
        from_at, to_at = EPOCH, EVER
        others: list[TrackedRepository] = []
        for one in self.knowledge.repositories:
            covered = one.undisputed(self._cover(one, stream))
            read_from = one.begins_at(stream)
            if one.lost_at is not None or len(covered) != 1 or read_from is None or covered[0].from_at > read_from:
                others.append(one)
                continue
            to_at = min(to_at, covered[0].to_at)
            if one.created_at is None or one.created_at < covered[0].from_at:
                from_at = max(from_at, covered[0].from_at)
        return CompleteTime(from_at, to_at, others)

    def _missing(
        self, repository: TrackedRepository, *, stream: str, start_at: datetime | None, end_at: datetime
    ) -> Iterator[Missing]:
        """Yield what is missing of a stream of the repository up to the end, or up to its loss."""
        end_at = min(end_at, repository.ends_at)
        read_from = repository.begins_at(stream)
        from_at = _later(start_at or read_from, repository.created_at)
        if from_at is None or from_at >= end_at:
            return
        for left in subtract(Period(from_at, end_at), repository.undisputed(self._cover(repository, stream))):
            reason = Reason.UNREAD if read_from is not None and left.to_at > read_from else Reason.HISTORY
            yield Missing(reason, left, stream, repository.repository_id)

    def _unverified(self, repositories: Sequence[TrackedRepository], *, streams: Collection[str]) -> Completeness:
        unread = [(one, stream) for one in repositories for stream in streams if not self._cover(one, stream)]
        return Completeness(
            complete_until=None,
            gaps=(),
            unread=in_order(frozenset(stream for _, stream in unread)),
            unread_repository_ids=tuple(sorted({one.repository_id for one, _ in unread})),
            has_repositories=bool(repositories),
        )


def _lost(
    repository: TrackedRepository, *, streams: Collection[str], start_at: datetime | None, end_at: datetime
) -> Iterator[Missing]:
    """Yield the time after a loss, if the repository was lost within the period; an earlier loss does not count."""
    if repository.lost_at is None or not (start_at or repository.ends_at) <= repository.ends_at < end_at:
        return
    period = Period(repository.ends_at, end_at)
    yield from (Missing(Reason.OUT_OF_REACH, period, stream, repository.repository_id) for stream in streams)


def _earliest(ends: Iterable[datetime | None]) -> datetime | None:
    """Return the earliest; None if there are none, or one of them is not known."""
    least: datetime | None = None
    for at in ends:
        if at is None:
            return None
        least = at if least is None else min(least, at)
    return least


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one, other) if one is not None and other is not None else one

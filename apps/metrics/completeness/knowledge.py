"""What the tables know of the completeness of repositories: two statements, and the registered providers."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from apps.activity.facts import Stamp
from apps.common import db
from apps.metrics.completeness.gaps import Period, cut_at, intersect, merge_periods, subtract
from apps.metrics.completeness.providers import Pending, find_pending
from apps.metrics.completeness.streams import every_stream, withheld

MARGIN = timedelta(hours=1)
"""The time of a loss is that of our clock when the news arrived; the loss may be this much earlier."""
EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class TrackedRepository:
    """A repository as the tables have it.

    `passes`: the periods that backfills and comparisons read, merged, by stream. `losses`: when an installation lost
    access to it, as far as stored. `lost_at` is set while no installation has access; `is_reached` is also false for a
    repository that none ever had access to. `blocked_at`: when its oldest unprocessed delivery arrived. `uncertain`:
    from the first to the last unprocessed delivery that may have been about it. `withheld`: the streams whose webhooks
    no installation sends completely.
    """

    repository_id: int
    full_name: str
    created_at: datetime | None
    is_reached: bool
    lost_at: datetime | None
    losses: tuple[datetime, ...]
    blocked_at: datetime | None
    uncertain: Period | None
    passes: Mapping[str, Sequence[Period]]
    withheld: frozenset[str] = frozenset()

    @property
    def ends_at(self) -> datetime:
        """Return when the last data of it may have arrived; the end of time while the App has access."""
        return EVER if self.lost_at is None else self.lost_at - MARGIN

    def begins_at(self, stream: str) -> datetime | None:
        """Return the start of what was read of the stream; None if nothing was."""
        passes = self.passes.get(stream)
        return passes[0].from_at if passes else None

    def covered(self, stream: str, *, log: Sequence[Period]) -> list[Period]:
        """Return the periods of which the stream is stored completely: read, or covered by webhooks and scanned log.

        The log, merged, counts from the start of what was read, and only while the App had access; it proves nothing
        for a stream whose webhooks are withheld.
        """
        passes = self.passes.get(stream)
        if not passes:
            return []
        if not log or stream in self.withheld:
            return list(passes)
        return merge_periods([*passes, *intersect(log, within=self._covered_by_webhooks(passes))])

    def complete_until(self, stream: str, *, covered: Sequence[Period]) -> datetime | None:
        """Return the end of the covered time, at most the oldest unprocessed delivery; None if nothing is covered."""
        if not covered:
            return None
        return covered[-1].to_at if self.blocked_at is None else min(covered[-1].to_at, self.blocked_at)

    def undisputed(self, covered: Sequence[Period]) -> list[Period]:
        """Return the covered periods before the end of access and before the oldest unprocessed delivery."""
        until = min(self.ends_at, self.blocked_at or EVER)
        return list(covered) if until == EVER else cut_at(covered, at=until)

    def _covered_by_webhooks(self, passes: Sequence[Period]) -> list[Period]:
        """Return when webhooks covered everything: since reading began, except after losses and uncertain periods."""
        if not self.is_reached and self.lost_at is None:
            return []
        since = Period(passes[0].from_at, max(passes[0].from_at, self.ends_at))
        return list(subtract(since, merge_periods(self._webhooks_missing(passes))))

    def _webhooks_missing(self, passes: Sequence[Period]) -> Iterator[Period]:
        """Yield the periods from each loss or doubtful delivery until the end of the first pass that began later.

        A pass proves that the App has access again, and what was read needs no delivery.
        """
        for lost_at in self.losses:
            yield Period(lost_at - MARGIN, _first_end(passes, since=lost_at))
        if self.uncertain is not None:
            yield Period(self.uncertain.from_at, _first_end(passes, since=self.uncertain.to_at))


def _first_end(passes: Sequence[Period], *, since: datetime) -> datetime:
    return next((one.to_at for one in passes if one.to_at >= since), EVER)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Each of the two by its index.
COVERAGE = """
    SELECT repository_id, stream, from_at, to_at FROM activity_coverage WHERE repository_id IS NULL
    UNION ALL
    SELECT repository_id, stream, from_at, to_at FROM activity_coverage
    WHERE repository_id = ANY(%(repositories)s::bigint[]) AND stream = ANY(%(streams)s)
"""
ACCESS = """
    SELECT repository.github_id, full_name, repository.created_at, has_access, access.stamp, lost_at,
           ARRAY[installation.deleted_at, suspended_at, last_suspended_at], events::text
    FROM activity_repository AS repository
    LEFT JOIN activity_repositoryaccess AS access ON repository_id = repository.github_id
    LEFT JOIN activity_installation AS installation ON installation.github_id = installation_id
    WHERE repository.github_id = ANY(%(repositories)s::bigint[]) AND repository.deleted_at IS NULL
    ORDER BY repository.github_id
"""

Passes = dict[int, dict[str, list[Period]]]


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """Repositories that were not deleted, and the periods of which GitHub's delivery log was scanned completely."""

    log: Sequence[Period]
    repositories: Sequence[TrackedRepository]


@dataclass(slots=True)
class Reach:
    """The access of installations to a repository, summed up row by row."""

    full_name: str
    created_at: datetime | None
    has_rows: bool = False
    is_reached: bool = False
    losses: list[datetime] = field(default_factory=list)
    withheld: frozenset[str] = field(default_factory=lambda: frozenset(every_stream()))

    def add(
        self,
        *,
        has_access: bool,
        stamp: str,
        lost_at: datetime | None,
        ends: Sequence[datetime | None],
        withheld: frozenset[str],
    ) -> None:
        """Add one installation: its access, when it lost it, when it was deleted or suspended, what it does not send.

        An installation that is deleted or suspended loses all of its repositories without naming them.
        """
        self.has_rows = True
        deleted_at, suspended_at, _ = ends
        if has_access and deleted_at is None and suspended_at is None:
            self.is_reached = True
            self.withheld &= withheld
        if lost_at is not None:
            self.losses.append(lost_at)
        elif not has_access:
            self.losses.append(Stamp.moment_of(stamp) or EPOCH)
        if has_access:
            self.losses += [at for at in ends if at is not None]


def read_knowledge(
    repository_ids: Collection[int], *, streams: Collection[str], pending: Pending | None = None
) -> Knowledge:
    """Return what is known of these streams of the repositories; deleted ones are left out."""
    ids = list(repository_ids)
    log, passes = _coverage(ids, streams=streams)
    pending = pending or find_pending(ids)
    blocked, uncertain = pending.blocked, pending.uncertain
    return Knowledge(
        log=log,
        repositories=[
            TrackedRepository(
                repository_id=repository_id,
                full_name=reach.full_name,
                created_at=reach.created_at,
                is_reached=reach.is_reached,
                lost_at=max(reach.losses) if reach.has_rows and not reach.is_reached else None,
                losses=tuple(reach.losses),
                withheld=reach.withheld if reach.is_reached else frozenset(),
                blocked_at=blocked.get(repository_id),
                uncertain=Period(*uncertain[repository_id]) if repository_id in uncertain else None,
                passes=passes.get(repository_id, {}),
            )
            for repository_id, reach in _reaches(ids).items()
        ],
    )


def _coverage(ids: Collection[int], *, streams: Collection[str]) -> tuple[list[Period], Passes]:
    """Return the periods of the log, and those of each stream of each repository, all merged."""
    log: list[Period] = []
    passes: Passes = {}
    for repository_id, stream, *period in db.run(COVERAGE, {"repositories": list(ids), "streams": list(streams)}):
        if repository_id is None:
            log.append(Period(*period))
        else:
            passes.setdefault(repository_id, {}).setdefault(stream, []).append(Period(*period))
    for by_stream in passes.values():
        by_stream.update({stream: merge_periods(found) for stream, found in by_stream.items() if len(found) > 1})
    return merge_periods(log), passes


def _reaches(ids: Collection[int]) -> dict[int, Reach]:
    found: dict[int, Reach] = {}
    known = dict[str | None, frozenset[str]]()
    for repository_id, name, created_at, has_access, stamp, lost_at, ends, events in db.run(
        ACCESS, {"repositories": list(ids)}
    ):
        reach = found.setdefault(repository_id, Reach(name, created_at))
        if has_access is not None:
            if events not in known:
                known[events] = _withheld(events)
            reach.add(has_access=has_access, stamp=stamp, lost_at=lost_at, ends=ends, withheld=known[events])
    return found


def _withheld(events: str | None) -> frozenset[str]:
    """Return the streams that an installation does not send completely; it counts as sending all until it is known."""
    sent = json.loads(events or "null")
    return frozenset() if sent is None else withheld(sent)


# Rows in any order, as one number for each table: what changes it changes what is known of repositories. It costs a
# fraction of reading them.
DIGESTS = """
    (SELECT count(*) || ':' || sum(hashtextextended(coverage::text, 0)) FROM (
        SELECT * FROM activity_coverage
        WHERE repository_id = ANY(%(repositories)s::bigint[]) AND stream = ANY(%(streams)s)
        UNION ALL
        SELECT * FROM activity_coverage WHERE repository_id IS NULL
     ) AS coverage),
    (SELECT count(*) || ':' || sum(hashtextextended(access::text || installation::text, 0))
     FROM activity_repositoryaccess AS access
     JOIN activity_installation AS installation ON installation.github_id = installation_id
     WHERE repository_id = ANY(%(repositories)s::bigint[])),
    (SELECT sum(hashtextextended(full_name || ':' || (deleted_at IS NULL), github_id)) FROM activity_repository
     WHERE github_id = ANY(%(repositories)s::bigint[]))
"""

"""Reading what is known of repositories: two statements, however many there are, besides what apps above tell."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db.models import Q

from apps.activity.facts import Stamp
from apps.activity.models import Coverage, Repository
from apps.metrics.completeness.providers import doubted, held_back
from apps.metrics.completeness.streams import EVERY_STREAM, Stream, untold
from apps.metrics.completeness.stretches import Stretch, united
from apps.metrics.completeness.tracked import Tracked

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

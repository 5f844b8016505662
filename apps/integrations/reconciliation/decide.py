"""Whether a stream of a repository is unchanged, or what of it has to be read. Pure.

What is unknown is read. That our newest is GitHub's newest proves nothing: an earlier one may have been lost under it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from apps.github.probes import ProbedStream
from apps.integrations.streams.stream import Stream

Json = Mapping[str, Any]
MARGIN = timedelta(hours=1)
"""What was changed so long before the last pass is read again: clocks differ, and lists lag."""
LATELY = timedelta(days=7)
"""What is not over is read every night while it is so young."""
LONGEST_OPEN = timedelta(days=30)
"""And every week while it is so young; so are runs, which may be run again."""
WEEK, LATE, SOON = 7, timedelta(days=8), timedelta(hours=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMark:
    """What GitHub showed when all of the stream was here for the last time, and how many we had then.

    `counted` is how many comments GitHub listed, and how many we had, when they were last counted.
    """

    mark: Json
    passed_at: datetime
    reread_at: datetime | None
    ours: int | None = None
    counted: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalState:
    """What we know of one stream of a repository.

    `covered` is the latest stretch of which everything is here, `is_whole` whether it began with the repository;
    `ours` is how many there are here, where they are counted; `open_since` is when the oldest that is not over was
    made, of those that are still read; `is_being_read` is an unfinished backfill, `is_paused` one that somebody paused.
    """

    kept: StoredMark | None = None
    covered: tuple[datetime, datetime] | None = None
    is_whole: bool = False
    ours: int | None = None
    has_any: bool = False
    open_since: datetime | None = None
    is_being_read: bool = False
    is_paused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """Nothing changed since `since`."""

    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was updated since then is to be read."""

    since: datetime
    is_reread: bool = False


@dataclass(frozen=True, slots=True)
class Follow:
    """It is being read already: that backfill comes first."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Somebody paused its backfill: nothing is known of it, and nothing is done about it."""


Decision = Unchanged | Read | Follow | Skip


def decide(
    stream: Stream, *, shown: ProbedStream, here: LocalState, is_due: bool, now: datetime, history: timedelta
) -> Decision:
    """What to do about a stream; without any earlier reading, what was updated within `history` is read."""
    if here.is_paused:
        return Skip()
    if here.is_being_read:
        return Follow()
    begin, is_reread = _begin(stream, here=here, is_due=is_due, now=now)
    unchanged_since = _unchanged_since(shown, here=here)
    if unchanged_since is not None and begin is None:
        return Unchanged(since=unchanged_since)
    since = _last_pass(stream, here=here) or now - history
    return Read(since=min(since, begin) if begin else since, is_reread=is_reread)


def is_due(repository_id: int, *, reread_at: datetime | None, now: datetime) -> bool:
    """Whether what may change without a trace is to be read again: once a week, another seventh every day."""
    if reread_at is None:
        return True
    if now - reread_at >= LATE:
        return True
    return repository_id % WEEK == now.toordinal() % WEEK and now - reread_at >= SOON


def is_missing(count: int | None, *, here: LocalState) -> bool:
    """Whether GitHub counts more than we have, by more than it did when all was here.

    Where history was read only in part, and nothing was compared yet, no count can tell.
    """
    if count is None or here.ours is None:
        return False
    if here.kept is not None and here.kept.ours is not None and "count" in here.kept.mark:
        return count - here.ours > max(0, int(here.kept.mark["count"]) - here.kept.ours)
    return here.is_whole and count > here.ours


def _unchanged_since(shown: ProbedStream, *, here: LocalState) -> datetime | None:
    """Since when nothing changed, as far as it can be proved."""
    if here.kept is not None:
        is_same = shown.mark == here.kept.mark and here.ours == here.kept.ours
        return here.kept.passed_at if is_same else None
    if here.covered is None:
        return None
    _, to_at = here.covered
    is_older = shown.moved_at is None or shown.moved_at < to_at - MARGIN
    is_counted = not here.is_whole or shown.count is None or shown.count == here.ours
    return to_at if is_older and is_counted else None


def _last_pass(stream: Stream, *, here: LocalState) -> datetime | None:
    passed_at = here.kept.passed_at if here.kept else here.covered[1] if here.covered else None
    if passed_at is None:
        return None
    return passed_at - stream.overlap


def _begin(stream: Stream, *, here: LocalState, is_due: bool, now: datetime) -> tuple[datetime | None, bool]:
    """From when on it has to be read however unchanged it seems, and whether that is this week's reading again."""
    if stream.is_run_again and here.has_any:
        if is_due:
            return now - LONGEST_OPEN, True
        return _young(here.open_since, now=now) or now, False
    if here.open_since is not None and not stream.is_run_again:
        if is_due:
            return here.open_since, True
        return _young(here.open_since, now=now), False
    return None, False


def _young(at: datetime | None, *, now: datetime) -> datetime | None:
    return at if at is not None and now - at < LATELY else None

"""The history of a pull request, merged from several sources. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from apps.activity.models import PullRequestEvent

Kind = PullRequestEvent.Kind

SAME_EVENT = PullRequestEvent.SAME


@dataclass(frozen=True, slots=True)
class Happening:
    """An event in a pull request's history."""

    at: datetime
    kind: str
    subject: str
    is_from_api: bool
    actor_id: int | None


@dataclass(frozen=True, slots=True)
class Interval:
    """From an instant to another; open while `until` is None."""

    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Drafts:
    """The draft periods of a pull request."""

    is_opened_as_draft: bool
    ready_at: datetime | None
    intervals: tuple[Interval, ...]


def deduplicated(happenings: Iterable[Happening]) -> list[Happening]:
    """Same kind and subject within ten seconds are one event; the API's time of it is preferred. Oldest first."""
    alike: dict[tuple[str, str], list[Happening]] = defaultdict(list)
    for happening in sorted(happenings, key=lambda each: (not each.is_from_api, each.at)):
        known = alike[happening.kind, happening.subject]
        if all(abs(happening.at - one.at) > SAME_EVENT for one in known):
            known.append(happening)
    return sorted(
        (one for known in alike.values() for one in known), key=lambda each: (each.at, each.kind, each.subject)
    )


def moments(happenings: Iterable[Happening], *kinds: str) -> list[datetime]:
    return [each.at for each in happenings if each.kind in kinds]


def drafts(
    happenings: Sequence[Happening],
    *,
    opened_at: datetime,
    ended_at: datetime | None,
    is_draft: bool,
    updated_at: datetime,
) -> Drafts:
    """Return when it was a draft, between its opening and its end.

    It was opened as a draft if its first transition is to ready, and not if that is to draft; without any transition,
    the current flag decides. A flag that contradicts the last transition is a transition that nobody reported, at
    `updated_at` at the latest.
    """
    transitions = [(each.at, each.kind) for each in happenings if each.kind in _DRAFTING]
    opened_as_draft = transitions[0][1] == Kind.READY_FOR_REVIEW if transitions else is_draft
    if transitions and _DRAFTING[transitions[-1][1]] != is_draft:
        transitions.append((updated_at, Kind.CONVERTED_TO_DRAFT if is_draft else Kind.READY_FOR_REVIEW))
    intervals = _intervals(transitions, since=opened_at if opened_as_draft else None)
    first_ready = next(iter(moments(happenings, Kind.READY_FOR_REVIEW)), None)
    return Drafts(
        is_opened_as_draft=opened_as_draft,
        ready_at=first_ready if opened_as_draft else opened_at,
        intervals=tuple(_clipped(intervals, until=ended_at)),
    )


_DRAFTING: dict[str, bool] = {Kind.READY_FOR_REVIEW: False, Kind.CONVERTED_TO_DRAFT: True}


def _intervals(transitions: Iterable[tuple[datetime, str]], *, since: datetime | None) -> list[Interval]:
    intervals = []
    for at, kind in transitions:
        if _DRAFTING[kind]:
            since = since or at
        elif since is not None:
            intervals.append(Interval(since, max(since, at)))
            since = None
    if since is not None:
        intervals.append(Interval(since, None))
    return intervals


def _clipped(intervals: Iterable[Interval], *, until: datetime | None) -> list[Interval]:
    if until is None:
        return list(intervals)
    return [Interval(each.since, min(each.until or until, until)) for each in intervals if each.since < until]


def in_queue(happenings: Sequence[Happening], *, merged_at: datetime) -> list[tuple[datetime, datetime]]:
    """Return the beginning and the end of every stay in the merge queue, up to the merge."""
    found = _stays(happenings, entered=Kind.ENQUEUED, left=Kind.DEQUEUED, until=merged_at)
    return [(each.since, each.until or merged_at) for each in found]


def seconds_in_queue(stays: Sequence[tuple[datetime, datetime]]) -> int | None:
    """Return the seconds of all stays in the merge queue; None if it never entered the queue."""
    return round(sum((until - since).total_seconds() for since, until in stays)) if stays else None


def is_auto_merged(happenings: Sequence[Happening], *, merged_at: datetime) -> bool:
    """Return whether auto-merge was on at the merge."""
    found = _stays(happenings, entered=Kind.AUTO_MERGE_ENABLED, left=Kind.AUTO_MERGE_DISABLED, until=merged_at)
    return bool(found) and found[-1].until is None


def _stays(happenings: Sequence[Happening], *, entered: Kind, left: Kind, until: datetime) -> list[Interval]:
    """Return the intervals from entering to leaving up to an instant; one that has not ended by then is open.

    GitHub's times are whole seconds: whatever enters and leaves in one is afterwards where it was before.
    """
    moves = [each for each in happenings if each.kind in (entered, left) and each.at <= until]
    stays, since = list[Interval](), None
    for at, together in groupby(moves, key=lambda each: each.at):
        kinds, was_there = {each.kind for each in together}, since is not None
        since = since or (at if entered in kinds else None)
        if since is not None and left in kinds:
            stays.append(Interval(since, at))
            since = at if was_there and entered in kinds else None
    return stays if since is None else [*stays, Interval(since, None)]


def closings(
    happenings: Sequence[Happening],
    *,
    merged_at: datetime | None,
    closed_at: datetime | None,
    updated_at: datetime,
) -> list[Interval]:
    """The stretches in which it was closed without being merged; an open end means that it still is.

    A closing that nobody reported reopened, though it must have been (it was closed again, merged, or is open now),
    ends at the first instant that shows it.
    """
    closed = _unmerged(moments(happenings, Kind.CLOSED), merged_at=merged_at, closed_at=closed_at)
    reopened = moments(happenings, Kind.REOPENED)
    is_closed_now = merged_at is None and closed_at is not None
    intervals = []
    for position, at in enumerate(closed):
        is_last = position == len(closed) - 1
        following = (merged_at or updated_at) if is_last else closed[position + 1]
        back = next((each for each in reopened if at <= each <= following), following)
        intervals.append(Interval(at, None if is_last and is_closed_now else max(at, back)))
    return intervals


def _unmerged(closed: Sequence[datetime], *, merged_at: datetime | None, closed_at: datetime | None) -> list[datetime]:
    if merged_at is not None:
        return [at for at in closed if at < merged_at - SAME_EVENT]
    if closed_at is not None and not any(abs(at - closed_at) <= SAME_EVENT for at in closed):
        return sorted((*closed, closed_at))
    return list(closed)

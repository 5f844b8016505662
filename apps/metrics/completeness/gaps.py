"""Arithmetic of periods, and gaps that summarise many streams and repositories. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from apps.metrics.completeness.streams import in_order


class Period(NamedTuple):
    """A half-open period: from one instant up to, but without, another."""

    from_at: datetime
    to_at: datetime


def merge_periods(periods: Iterable[Period]) -> list[Period]:
    """Return the same time in the fewest periods, in order; periods that overlap or touch become one.

    A period without length stays unless it touches another: it says where something ended.
    """
    found: list[Period] = []
    for from_at, to_at in sorted(periods):
        if found and from_at <= found[-1].to_at:
            if to_at > found[-1].to_at:
                found[-1] = Period(found[-1].from_at, to_at)
        else:
            found.append(Period(from_at, to_at))
    return found


def subtract(whole: Period, taken: Sequence[Period]) -> Iterator[Period]:
    """Yield what is left of the whole without the periods taken, which are merged."""
    at = whole.from_at
    for from_at, to_at in taken:
        if from_at >= whole.to_at:
            break
        if from_at > at and to_at > from_at:
            yield Period(at, from_at)
        at = max(at, to_at) if to_at > from_at else at
    if at < whole.to_at:
        yield Period(at, whole.to_at)


def cut_at(periods: Iterable[Period], *, at: datetime) -> list[Period]:
    """Return the parts of the periods before the instant."""
    return [Period(from_at, min(to_at, at)) for from_at, to_at in periods if from_at < at]


def intersect(periods: Iterable[Period], *, within: Sequence[Period]) -> Iterator[Period]:
    """Yield the parts of the periods within the others; both are merged."""
    for one in periods:
        for other in within:
            from_at, to_at = max(one.from_at, other.from_at), min(one.to_at, other.to_at)
            if from_at < to_at:
                yield Period(from_at, to_at)


class Reason(StrEnum):
    """Why something may be missing."""

    HISTORY = "history"  # earlier than anything that was read
    UNREAD = "unread"  # between periods that were read or covered by webhooks
    OUT_OF_REACH = "out_of_reach"  # no installation has access any more


@dataclass(frozen=True, slots=True)
class Missing:
    """A period that is missing of one stream of one repository."""

    reason: Reason
    period: Period
    stream: str
    repository_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A period in which data of at least one of the streams and repositories may be missing."""

    from_at: datetime
    to_at: datetime
    reason: Reason
    streams: tuple[str, ...]
    repository_ids: tuple[int, ...]


def gather_gaps(missing: Iterable[Missing]) -> tuple[Gap, ...]:
    """Return the same time in few gaps, in order; periods of one reason that overlap or touch become one gap."""
    by_reason: dict[Reason, list[Missing]] = {}
    for one in missing:
        by_reason.setdefault(one.reason, []).append(one)
    gaps = [gap for found in by_reason.values() for gap in _gather(found)]
    return tuple(sorted(gaps, key=lambda gap: (gap.from_at, gap.to_at)))


def _gather(missing: list[Missing]) -> Iterator[Gap]:
    missing.sort(key=lambda one: one.period)
    met = missing[:1]
    to_at = met[0].period.to_at
    for one in missing[1:]:
        if one.period.from_at > to_at:
            yield _gap(met, to_at=to_at)
            met = []
        met.append(one)
        to_at = max(to_at, one.period.to_at)
    yield _gap(met, to_at=to_at)


def _gap(missing: list[Missing], *, to_at: datetime) -> Gap:
    return Gap(
        from_at=missing[0].period.from_at,
        to_at=to_at,
        reason=missing[0].reason,
        streams=in_order(frozenset(one.stream for one in missing)),
        repository_ids=tuple(sorted({one.repository_id for one in missing})),
    )

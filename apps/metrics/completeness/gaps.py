"""Stretches of time that are not complete, told once for many streams and repositories. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from apps.metrics.completeness.streams import Stream, in_order


class Stretch(NamedTuple):
    """From one instant up to, but without, another."""

    from_at: datetime
    to_at: datetime


def united(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The same time in the fewest stretches, in order: those that overlap or meet become one.

    One that has no length stays, unless it meets another: it says where something ended.
    """
    found: list[Stretch] = []
    for from_at, to_at in sorted(stretches):
        if found and from_at <= found[-1].to_at:
            if to_at > found[-1].to_at:
                found[-1] = Stretch(found[-1].from_at, to_at)
        else:
            found.append(Stretch(from_at, to_at))
    return found


def left_of(whole: Stretch, taken: Sequence[Stretch]) -> Iterator[Stretch]:
    """What is left of the whole without those taken, which are united."""
    at = whole.from_at
    for from_at, to_at in taken:
        if from_at >= whole.to_at:
            break
        if from_at > at and to_at > from_at:
            yield Stretch(at, from_at)
        at = max(at, to_at) if to_at > from_at else at
    if at < whole.to_at:
        yield Stretch(at, whole.to_at)


def cut_off(stretches: Iterable[Stretch], *, at: datetime) -> list[Stretch]:
    """What of the stretches lies before the instant."""
    return [Stretch(from_at, min(to_at, at)) for from_at, to_at in stretches if from_at < at]


def common(stretches: Iterable[Stretch], *, within: Sequence[Stretch]) -> Iterator[Stretch]:
    """What of the stretches lies within the others; both are united."""
    for one in stretches:
        for other in within:
            from_at, to_at = max(one.from_at, other.from_at), min(one.to_at, other.to_at)
            if from_at < to_at:
                yield Stretch(from_at, to_at)


class Reason(StrEnum):
    """Why something may be missing."""

    HISTORY = "history"  # earlier than anything that was read
    UNREAD = "unread"  # between what was read, or heard of
    OUT_OF_REACH = "out_of_reach"  # nobody reaches the repository any more


@dataclass(frozen=True, slots=True)
class Piece:
    """Time that is missing of one stream of one repository."""

    reason: Reason
    stretch: Stretch
    stream: Stream
    repository_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Time of which something may be missing: at each instant of it, of one of the streams and repositories."""

    from_at: datetime
    to_at: datetime
    reason: Reason
    streams: tuple[Stream, ...]
    repository_ids: tuple[int, ...]


def gathered(pieces: Iterable[Piece]) -> tuple[Gap, ...]:
    """The same time in few gaps, in order: what overlaps or meets, and has one reason, is one gap."""
    by_reason: dict[Reason, list[Piece]] = {}
    for piece in pieces:
        by_reason.setdefault(piece.reason, []).append(piece)
    gaps = [gap for found in by_reason.values() for gap in _gathered(found)]
    return tuple(sorted(gaps, key=lambda gap: (gap.from_at, gap.to_at)))


def _gathered(pieces: list[Piece]) -> Iterator[Gap]:
    pieces.sort(key=lambda piece: piece.stretch)
    met = pieces[:1]
    to_at = met[0].stretch.to_at
    for piece in pieces[1:]:
        if piece.stretch.from_at > to_at:
            yield _gap(met, to_at=to_at)
            met = []
        met.append(piece)
        to_at = max(to_at, piece.stretch.to_at)
    yield _gap(met, to_at=to_at)


def _gap(pieces: list[Piece], *, to_at: datetime) -> Gap:
    return Gap(
        from_at=pieces[0].stretch.from_at,
        to_at=to_at,
        reason=pieces[0].reason,
        streams=in_order(frozenset(piece.stream for piece in pieces)),
        repository_ids=tuple(sorted({piece.repository_id for piece in pieces})),
    )

"""Stretches of time, and what is left of one when others are taken out of it. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple


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

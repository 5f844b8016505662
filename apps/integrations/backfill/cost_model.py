"""What reading costs and how long it takes, as far as it is known beforehand. Pure arithmetic.

Seconds of GraphQL are from pages of pull requests that others timed: 2.5 to 3.4 s for 25, 4.9 for 50, 8 to 10 for 100.
Those of the other lists are assumed. A connection counts once for each parent; a hundred are a point.
"""

import math
from dataclasses import dataclass

from apps.github.responses import CORE, GRAPHQL
from apps.integrations.streams import STREAMS

WINDOW_S = 3600.0
AT_ONCE = {GRAPHQL: 1, CORE: 3}
"""Requests in flight, as the budget allows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What it takes to read something: requests, what they cost of the hourly limit, seconds of GitHub's time."""

    calls: int = 0
    points: int = 0
    seconds: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            calls=self.calls + other.calls, points=self.points + other.points, seconds=self.seconds + other.seconds
        )


def cost_of(stream: str, *, items: int, page_size: int) -> Cost:
    """The cost of reading so many items of a stream; that there are none costs a call as well."""
    cost = STREAMS[stream].cost
    pages = max(1, math.ceil(items / page_size))
    longer = math.ceil(items * cost.long_lists)
    page_points = max(1, round((1 + cost.nested * min(page_size, items)) / 100)) if cost.resource == GRAPHQL else 1
    return Cost(
        calls=pages + longer,
        points=pages * page_points + longer,
        seconds=(pages + longer) * cost.call_s + items * cost.item_s,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What a limit leaves until its reset, and after each reset, without what is kept for live work."""

    left: float
    resets_in_s: float
    hourly: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """How long it takes, and whether waiting for a limit is part of that."""

    seconds: float
    is_waiting: bool = False


def duration_of(cost: Cost, *, resource: str, window: Window | None) -> Duration:
    """How long a cost of one resource takes within its limit; None is no limit."""
    work_s = cost.seconds / AT_ONCE[resource]
    if window is None or not cost.points or cost.points <= window.left:
        return Duration(seconds=work_s)
    rate = cost.points / work_s
    left, at_s, ends_s, available = float(cost.points), 0.0, window.resets_in_s, window.left
    while True:
        read = min(left, max(0.0, available), rate * (ends_s - at_s))
        left -= read
        if left <= 0:
            return Duration(seconds=at_s + read / rate, is_waiting=True)
        at_s, ends_s, available = ends_s, ends_s + WINDOW_S, max(1.0, window.hourly)

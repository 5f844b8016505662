"""Stretches of time that hold no more runs than GitHub lists. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

MOST_LISTED = 1000
"""GitHub lists no more of a filtered search, however many it counts."""
AIM = 800
"""How many runs the later part of a window is to hold, if they came as evenly as those on its first page."""
FEW = 10
"""Too few to tell how evenly."""
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWindow:
    """From one second to another, both in it."""

    start: datetime
    end: datetime

    @property
    def created(self) -> str:
        """The filter of GitHub's listing."""
        return f"{_text(self.start)}..{_text(self.end)}"

    @property
    def is_a_second(self) -> bool:
        return self.start == self.end

    def cut(self, page: Sequence[datetime]) -> tuple["RunWindow", "RunWindow"]:
        """The later part and the earlier part; `page` is when the runs of its first page were created.

        The later reaches back half of the way at the most, so that however runs came, a few cuts are enough.
        """
        newest = max(page, default=self.end)
        later = self.start + (newest - self.start) // 2
        if len(page) >= FEW:
            later = max(later, newest - AIM * (newest - min(page)) // len(page))
        later = min(max(later.replace(microsecond=0), self.start + SECOND), self.end)
        return RunWindow(start=later, end=self.end), RunWindow(start=self.start, end=later - SECOND)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlace:
    """Where a walk through runs is: windows still to be read, the latest first, and how many of it were `seen`."""

    windows: tuple[RunWindow, ...]
    seen: int = 0
    total: int | None = None
    """How many runs there are in all windows together, once GitHub said."""

    def as_text(self) -> str:
        windows = [[_text(window.start), _text(window.end)] for window in self.windows]
        return json.dumps({"windows": windows, "seen": self.seen, "total": self.total})

    @classmethod
    def from_text(cls, cursor: str) -> "RunPlace":
        told = json.loads(cursor)
        windows = tuple(
            RunWindow(start=datetime.fromisoformat(start), end=datetime.fromisoformat(end))
            for start, end in told["windows"]
        )
        return cls(windows=windows, seen=told["seen"], total=told["total"])

    def page(self, size: int) -> int:
        """The page to ask for; its first runs were seen already where the size was changed."""
        return self.seen // size + 1

    def counting(self, total: int) -> "RunPlace":
        """The same, once GitHub said how many there are: what it says first is of all windows together."""
        return self if self.total is not None else replace(self, total=total)

    def instead(self, *windows: RunWindow) -> "RunPlace":
        """The same with other windows in the place of the first, or none."""
        return replace(self, windows=(*windows, *self.windows[1:]), seen=0)

    def further(self, seen: int) -> "RunPlace":
        return replace(self, seen=seen)


def whole_seconds(at: datetime) -> datetime:
    """GitHub's times have none but whole seconds."""
    return at.astimezone(UTC).replace(microsecond=0)


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")

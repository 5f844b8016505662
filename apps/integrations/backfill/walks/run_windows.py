"""Stretches of time that hold no more runs than GitHub lists. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MOST_LISTED = 1000
"""GitHub lists no more of a filtered search, however many it counts."""
SHARE = 8
"""How much longer than its latest hundred runs a window is cut: eight hundred, if they came as evenly as those."""
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

    def cut(self, *, oldest_of_page: datetime | None) -> tuple["RunWindow", "RunWindow"]:
        """The later part and the earlier part, one of them a second at least; the later is half of it at the most.

        A later part in which runs were as frequent as on its first page is one that GitHub lists whole.
        """
        middle = self.start + (self.end - self.start) // 2
        seen = self.end - max(oldest_of_page or self.start, self.start)
        later = max(middle, self.end - SHARE * seen).replace(microsecond=0)
        later = min(max(later, self.start + SECOND), self.end)
        return RunWindow(start=later, end=self.end), RunWindow(start=self.start, end=later - SECOND)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlace:
    """Where a walk through runs is: windows still to be read, the latest first, and the page of the first of them."""

    windows: tuple[RunWindow, ...]
    page: int = 1
    total: int | None = None
    """How many runs there are in all windows together, once GitHub said."""

    def as_text(self) -> str:
        windows = [[_text(window.start), _text(window.end)] for window in self.windows]
        return json.dumps({"windows": windows, "page": self.page, "total": self.total})

    @classmethod
    def from_text(cls, cursor: str) -> "RunPlace":
        told = json.loads(cursor)
        windows = tuple(
            RunWindow(start=datetime.fromisoformat(start), end=datetime.fromisoformat(end))
            for start, end in told["windows"]
        )
        return cls(windows=windows, page=told["page"], total=told["total"])

    def instead(self, windows: Sequence[RunWindow], *, total: int) -> "RunPlace":
        """The same with other windows in the place of the first."""
        return RunPlace(windows=(*windows, *self.windows[1:]), total=self.total if self.total is not None else total)

    def next_page(self, *, total: int) -> "RunPlace":
        return RunPlace(windows=self.windows, page=self.page + 1, total=self.total if self.total is not None else total)


def whole_seconds(at: datetime) -> datetime:
    """GitHub's times have none but whole seconds."""
    return at.astimezone(UTC).replace(microsecond=0)


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")

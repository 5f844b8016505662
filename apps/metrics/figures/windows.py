"""Half-open windows of whole local days."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
LONGEST_MONTH = timedelta(days=31)
LONGEST_NAMED = 3660


class Granularity(StrEnum):
    """The length of the buckets of a series."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The local days from `start` up to, but without, `end`."""

    start: date
    end: date
    time_zone: str

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError(f"A period must end after it starts, but {self.end} is not after {self.start}.")

    @classmethod
    def last(cls, days: int, *, time_zone: str, now: datetime | None = None) -> "Window":
        """Return the window of the last days in the time zone, today included."""
        today = (now or datetime.now(UTC)).astimezone(ZoneInfo(time_zone)).date()
        return cls(start=today - DAY * (days - 1), end=today + DAY, time_zone=time_zone)

    @classmethod
    def named(cls, name: str, *, time_zone: str, now: datetime | None = None) -> "Window":
        """Return the window of a name such as `7d`, `30d` or `90d`: the last days, today included."""
        days = int(name[:-1]) if name.endswith("d") and name[:-1].isdecimal() else 0
        if not 1 <= days <= LONGEST_NAMED:
            raise ValueError(f"{name!r} is not a period. Use a number of days like 7d or 90d, up to {LONGEST_NAMED}d.")
        return cls.last(days, time_zone=time_zone, now=now)

    @property
    def start_at(self) -> datetime:
        return self.midnight(self.start)

    @property
    def end_at(self) -> datetime:
        return self.midnight(self.end)

    @property
    def last_day(self) -> date:
        """Return the last day in the window."""
        return self.end - DAY

    @property
    def days(self) -> int:
        """Return the number of local days, whether they have 23, 24 or 25 hours."""
        return (self.end - self.start).days

    def days_begun(self, as_of: datetime) -> int:
        """Return how many days of the window had begun at the instant."""
        reached = as_of.astimezone(ZoneInfo(self.time_zone)).date() + DAY
        return max(0, (min(self.end, reached) - self.start).days)

    def midnight(self, day: date) -> datetime:
        """Return the start of the local day, in UTC."""
        return datetime.combine(day, time.min, ZoneInfo(self.time_zone)).astimezone(UTC)

    def shift(self, at: datetime, *, days: int) -> datetime:
        """Return the instant of the same local time so many days later, in UTC."""
        local = at.astimezone(ZoneInfo(self.time_zone))
        return (local + DAY * days).astimezone(UTC)

    def weeks(self) -> Iterator["Window"]:
        """Yield the calendar weeks (from Monday) in the window, cut at its ends."""
        return self._cut(lambda day: day - DAY * day.weekday() + WEEK)

    def each_day(self) -> Iterator["Window"]:
        """Yield the days one by one."""
        return self._cut(lambda day: day + DAY)

    def months(self) -> Iterator["Window"]:
        """Yield the calendar months in the window, cut at its ends."""
        return self._cut(lambda day: (day.replace(day=1) + LONGEST_MONTH).replace(day=1))

    def buckets(self, granularity: Granularity) -> tuple["Window", ...]:
        """Return the days, weeks or months in the window; together they are the whole of it."""
        match granularity:
            case Granularity.DAY:
                return tuple(self.each_day())
            case Granularity.WEEK:
                return tuple(self.weeks())
            case Granularity.MONTH:
                return tuple(self.months())

    def is_whole(self, granularity: Granularity) -> bool:
        """Return whether the window is one whole day, week or month, and not cut."""
        return self in replace(self, start=self.start - DAY, end=self.end + DAY).buckets(granularity)

    def _cut(self, following: Callable[[date], date]) -> Iterator["Window"]:
        start = self.start
        while start < self.end:
            end = min(following(start), self.end)
            yield replace(self, start=start, end=end)
            start = end

    def previous(self) -> "Window":
        """Return the window of as many days just before this one."""
        return Window(start=self.start - DAY * self.days, end=self.start, time_zone=self.time_zone)

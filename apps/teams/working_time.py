"""The working time of a team: local hours on its working days, without public holidays."""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import holidays
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

FIRST_YEAR = 2005  # GitHub is younger
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingTime:
    """Local hours on some days of the week (1 is Monday) in a time zone, except on holidays.

    Hours that end at midnight last until the next day begins. Where the clocks show a time twice, its first counts.
    """

    time_zone: str
    days: tuple[int, ...]
    starts: time
    ends: time
    holidays_of: str = ""

    def periods(self, first: date, last: date) -> Iterator[tuple[datetime, datetime]]:
        """Yield the periods of the days from `first` to `last`, in UTC."""
        zone, free = ZoneInfo(self.time_zone), holidays_of(self.holidays_of, last_year=last.year)
        for number in range((last - first).days + 1):
            day = first + DAY * number
            if day.isoweekday() in self.days and day not in free:
                end = day if self.ends > time.min else day + DAY
                begun, ended = (
                    datetime.combine(on, at, zone).astimezone(UTC) for on, at in ((day, self.starts), (end, self.ends))
                )
                if begun < ended:
                    yield begun, ended


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingClock:
    """The seconds that a team works up to any instant, as figures in working hours count them.

    `starts`: when each of its periods begins, in seconds since 1970. `seconds`: those before each, and at last of all.
    """

    starts: Sequence[float]
    seconds: Sequence[float]

    def between(self, since: datetime, until: datetime) -> float:
        """Return the working seconds between two instants; at least 0."""
        return max(0.0, self._at(until) - self._at(since))

    def before(self, until: datetime, seconds: float) -> datetime | None:
        """Return the latest instant that is so many working seconds before another; None if there is none."""
        target = self._at(until) - seconds
        place = bisect_right(self.seconds, target) - 1
        if not 0 <= place < len(self.starts):
            return None
        return datetime.fromtimestamp(self.starts[place] + target - self.seconds[place], UTC)

    def _at(self, at: datetime) -> float:
        place = bisect_right(self.starts, at.timestamp()) - 1
        if place < 0:
            return 0.0
        return min(self.seconds[place] + at.timestamp() - self.starts[place], self.seconds[place + 1])


ALL_TIME = WorkingClock(starts=(0.0,), seconds=(0.0, math.inf))


@cache
def holidays_of(place: str, *, last_year: int) -> frozenset[date]:
    """Return the public holidays of a country (`DE`) or a part of it (`DE-BY`); none without a place."""
    if not place:
        return frozenset()
    country, _dash, part = place.partition("-")
    years = range(FIRST_YEAR, last_year + 1)
    return frozenset(holidays.country_holidays(country, subdiv=part or None, years=years))


def validate_place(place: str) -> None:
    """Reject a place whose holidays are not known."""
    country, _dash, part = place.partition("-")
    parts = holidays.list_supported_countries().get(country)
    if place and (parts is None or part not in {"", *parts}):
        raise ValidationError(_("No holidays are known for this place. Use ISO 3166: a country like DE, or DE-BY."))


def validate_weekdays(days: list[int]) -> None:
    """Reject days that are not of a week, and a week without any."""
    if not days or not {*days} <= {*range(1, 8)}:
        raise ValidationError(_("Use one or more numbers from 1 (Monday) to 7 (Sunday)."))

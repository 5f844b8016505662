"""Charts of a figure over time, drawn on the server."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from apps.metrics.figures import FigureReading, Granularity, Window
from apps.metrics.figures.formatting import as_words
from apps.metrics.figures.readings import Point

WIDTH, HEIGHT = 160.0, 36.0
GAP = 0.25
"""The part of a column's place that is left empty."""
LEAST = 1.0
MOST_DAYS, MOST_WEEKS = 14, 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One bucket: its place in the chart, and what it says; without a value it has no height."""

    x: float
    y: float
    width: float
    height: float
    start: date
    end: date
    n: int
    words: str
    is_partial: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The columns of a series, one for each bucket."""

    granularity: Granularity
    columns: tuple[Column, ...]

    @property
    def summary(self) -> str:
        """Return the values as a sentence, for those who do not see the columns."""
        return f"By {self.granularity}: {'; '.join(column.words for column in self.columns)}."


def granularity_for(window: Window) -> Granularity:
    """Return the buckets that are few enough for a card and many enough to see a trend."""
    if window.days <= MOST_DAYS:
        return Granularity.DAY
    return Granularity.WEEK if window.days <= MOST_WEEKS * 7 else Granularity.MONTH


def chart_of(reading: FigureReading, *, granularity: Granularity) -> Chart | None:
    """Return the chart of a reading with its series; None if no bucket has a value."""
    points = reading.series or ()
    if not any(point.value for point in points):
        return None
    return Chart(granularity=granularity, columns=tuple(_columns(points, unit=reading.unit)))


def _columns(points: tuple[Point, ...], *, unit: str) -> Iterator[Column]:
    place, highest = WIDTH / len(points), max(point.value or 0.0 for point in points)
    for number, point in enumerate(points):
        height = 0.0 if point.value is None else max(LEAST, HEIGHT * point.value / highest)
        yield Column(
            x=round(place * (number + GAP / 2), 2),
            y=round(HEIGHT - height, 2),
            width=round(place * (1 - GAP), 2),
            height=round(height, 2),
            start=point.start,
            end=point.end,
            n=point.n,
            words=f"{_days(point)} {as_words(point.value, unit=unit)}{' so far' if point.partial else ''}",
            is_partial=point.partial,
        )


def _days(point: Point) -> str:
    last = point.end - timedelta(days=1)
    return f"{point.start:%-d %b}" if last == point.start else f"{point.start:%-d %b} \N{EN DASH} {last:%-d %b}"

"""Charts of figures over time, drawn on the server: columns as wide as their days, in as few characters as can be."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from apps.metrics.figures import Figure, FigureReading, Granularity, Window
from apps.metrics.figures.figure import Measure
from apps.metrics.figures.figure_result import Bin, Point
from apps.metrics.figures.formatting import as_words, unit_beside

WIDTH, HEIGHT = 320.0, 72.0
GAP = 0.14
"""The part of a column's place that is left empty."""
LEAST = 1.5
MOST_DAYS, MOST_WEEKS = 14, 26
OF_A_WEEK = (Measure.COUNT,)
"""Figures whose value grows with the length of the bucket: the target of a week fits only weeks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One bucket: the outline of its column (empty without a value), of its whole place, and what it says."""

    path: str
    place: str
    bucket: str
    n: int
    words: str
    is_partial: bool
    has_gap: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The columns of a series, the steps of the previous period, and the line of a target, in a box of a fixed size."""

    granularity: Granularity
    columns: tuple[Column, ...]
    previous: str
    target: str
    top: str
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class Scale:
    """How days and values become places in the box."""

    window: Window
    highest: float

    def x(self, day: date) -> float:
        return WIDTH * (day - self.window.start).days / self.window.days

    def y(self, value: float) -> float:
        return HEIGHT - HEIGHT * min(1.0, value / self.highest)

    def column(self, start: date, end: date, *, value: float, base: float = 0.0) -> str:
        left, right = self.inner(start, end)
        top, bottom = self.y(base + value), self.y(base)
        if bottom - top < LEAST:
            top = max(0.0, bottom - LEAST)
        return box(left, top, right, bottom)

    def inner(self, start: date, end: date) -> tuple[float, float]:
        left, right = self.x(start), self.x(end)
        rest = (right - left) * GAP / 2
        return left + rest, right - rest

    def place(self, start: date, end: date) -> str:
        return box(self.x(start), 0, self.x(end), HEIGHT)


def box(left: float, top: float, right: float, bottom: float) -> str:
    return f"M{number(left)} {number(top)}H{number(right)}V{number(bottom)}H{number(left)}z"


def number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def granularity_for(window: Window) -> Granularity:
    """Return the buckets that are few enough for a card and many enough to see a trend."""
    if window.days <= MOST_DAYS:
        return Granularity.DAY
    return Granularity.WEEK if window.days <= MOST_WEEKS * 7 else Granularity.MONTH


def chart_of(
    figure: Figure,
    reading: FigureReading,
    *,
    window: Window,
    granularity: Granularity,
    previous: FigureReading | None = None,
    target: float | None = None,
) -> Chart | None:
    """Return the chart of a reading with its series; None if no bucket has a value."""
    points = reading.series or ()
    if not any(point.value for point in points):
        return None
    before = (previous.series if previous else None) or ()
    if figure.measure in OF_A_WEEK and granularity is not Granularity.WEEK:
        target = None
    highest = max(point.value or 0.0 for point in (*points, *before))
    scale = Scale(window, max(highest, target or 0.0) or 1.0)
    return Chart(
        granularity=granularity,
        columns=tuple(_column(point, scale=scale, unit=reading.unit, granularity=granularity) for point in points),
        previous=_steps(before, scale=scale),
        target="" if target is None else f"M0 {number(scale.y(target))}H{number(WIDTH)}",
        top=as_words(scale.highest, unit=reading.unit),
        first_day=window.start,
        last_day=window.last_day,
    )


def _column(point: Point, *, scale: Scale, unit: str, granularity: Granularity) -> Column:
    has_value = bool(point.value)
    notes = [
        *(["so far" if point.end > date.today() else "part of it"] if point.partial else []),  # noqa: DTZ011  a word
        *(["data may be missing"] if point.complete is False and not point.partial else []),
    ]
    return Column(
        path=scale.column(point.start, point.end, value=point.value or 0.0) if has_value else "",
        place=scale.place(point.start, point.end),
        bucket=f"{point.start}..{point.end}",
        n=point.n,
        words=f"{bucket_of(point, granularity)}: {_with_unit(point.value, unit=unit)}{_among(notes)}",
        is_partial=point.partial,
        has_gap=point.complete is False and not point.partial,
    )


def bucket_of(point: Point, granularity: Granularity) -> str:
    """Return the name of a bucket: Week of 3 Nov, Nov 2026, or its only days."""
    if granularity is Granularity.WEEK:
        return f"Week of {point.start:%-d %b}"
    return f"{point.start:%b %Y}" if granularity is Granularity.MONTH else days_of(point.start, point.end)


def _with_unit(value: float | None, *, unit: str) -> str:
    return f"{as_words(value, unit=unit)} {unit_beside(unit, value=value)}".rstrip()


def _among(notes: Sequence[str]) -> str:
    return f" ({', '.join(notes)})" if notes else ""


def _steps(points: Sequence[Point], *, scale: Scale) -> str:
    """Return the values of the previous period as steps over the same days of this one."""
    if not points:
        return ""
    shift = scale.window.start - points[0].start
    parts: list[str] = []
    is_drawn = False
    for point in points:
        if point.value is None:
            is_drawn = False
            continue
        y = number(scale.y(point.value))
        start = number(scale.x(point.start + shift))
        parts.append(f"V{y}" if is_drawn else f"M{start} {y}")
        parts.append(f"H{number(min(WIDTH, scale.x(point.end + shift)))}")
        is_drawn = True
    return "".join(parts)


def trend_of(points: Sequence[Point], *, window: Window) -> str:
    """Return a line through the values, each in the middle of its days; it is interrupted where there is none."""
    known = [(point, point.value) for point in points if point.value is not None]
    if len(known) < 2:  # noqa: PLR2004  a line has two ends
        return ""
    scale = Scale(window, max(value for _, value in known) or 1.0)
    parts, was_known = [], False
    for point in points:
        if point.value is not None:
            x = (scale.x(point.start) + scale.x(point.end)) / 2
            parts.append(f"{'L' if was_known else 'M'}{number(x)} {number(scale.y(point.value))}")
        was_known = point.value is not None
    return "".join(parts)


def days_of(start: date, end: date) -> str:
    last = end - timedelta(days=1)
    return f"{start:%-d %b}" if last == start else f"{start:%-d %b} \N{EN DASH} {last:%-d %b}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The part of a stacked column that one stage has."""

    stage: str
    key: str
    path: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """One bucket of a stacked chart."""

    bucket: str
    days: str
    segments: tuple[Segment, ...]
    cells: tuple[tuple[str, str], ...]
    place: str
    is_partial: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StackedChart:
    """The medians of the stages, one on the other, for each bucket."""

    granularity: Granularity
    stacks: tuple[Stack, ...]
    titles: tuple[str, ...]
    top: str
    first_day: date
    last_day: date


def stacked_chart_of(
    readings: Mapping[str, FigureReading], *, stages: Mapping[str, str], window: Window, granularity: Granularity
) -> StackedChart | None:
    """Return the chart of the stages, by their keys; None if no bucket has any."""
    series = {key: readings[key].series or () for key in stages if key in readings}
    buckets = list(zip(*series.values(), strict=True))
    highest = max((sum(point.value or 0.0 for point in points) for points in buckets), default=0.0)
    if not highest:
        return None
    scale = Scale(window, highest)
    titles = {key: stages[key] for key in series}
    return StackedChart(
        granularity=granularity,
        stacks=tuple(_stack(points, titles=titles, scale=scale) for points in buckets),
        titles=tuple(titles.values()),
        top=as_words(highest, unit="seconds"),
        first_day=window.start,
        last_day=window.last_day,
    )


def _stack(points: Sequence[Point], *, titles: Mapping[str, str], scale: Scale) -> Stack:
    first = points[0]
    days = days_of(first.start, first.end)
    return Stack(
        bucket=f"{first.start}..{first.end}",
        days=days,
        segments=tuple(_segments(points, titles=titles, days=days, scale=scale)),
        cells=tuple((key, as_words(point.value, unit="seconds")) for key, point in zip(titles, points, strict=True)),
        place=scale.place(first.start, first.end),
        is_partial=first.partial,
    )


def _segments(points: Sequence[Point], *, titles: Mapping[str, str], days: str, scale: Scale) -> Iterator[Segment]:
    base = 0.0
    for point, (key, title) in zip(points, titles.items(), strict=True):
        if point.value:
            left, right = scale.inner(point.start, point.end)
            yield Segment(
                stage=key.removesuffix("_time"),
                key=key,
                path=box(left, scale.y(base + point.value), right, scale.y(base)),
                words=f"{title}, {days}: {as_words(point.value, unit='seconds')}",
            )
            base += point.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bin of a histogram: from which value up to which, and how many."""

    start: float
    end: float | None
    label: str
    n: int
    path: str
    place: str
    words: str

    @property
    def least(self) -> str:
        return f"{self.start:g}"

    @property
    def below(self) -> str:
        return "" if self.end is None else f"{self.end:g}"


def histogram_of(bins: Iterable[Bin], *, unit: str, noun: str) -> tuple[Bar, ...]:
    """Return the bars of a histogram, from the first to the last bin that has any."""
    bins = list(bins)
    filled = [place for place, one in enumerate(bins) if one.n]
    if not filled:
        return ()
    shown = bins[filled[0] : filled[-1] + 1]
    highest, width = max(one.n for one in shown), WIDTH / len(shown)
    return tuple(
        _bar(one, place * width, width, highest=highest, unit=unit, noun=noun) for place, one in enumerate(shown)
    )


def _bar(one: Bin, left: float, width: float, *, highest: int, unit: str, noun: str) -> Bar:
    top = HEIGHT - max(LEAST, HEIGHT * one.n / highest)
    rest = width * GAP / 2
    return Bar(
        start=one.start,
        end=one.end,
        label=short_words(one.start, unit=unit),
        n=one.n,
        path=box(left + rest, top, left + width - rest, HEIGHT) if one.n else "",
        place=box(left, 0, left + width, HEIGHT),
        words=f"{_range(one, unit=unit)}: {one.n} {noun}{'' if one.n == 1 else 's'}",
    )


def _range(one: Bin, *, unit: str) -> str:
    start = short_words(one.start, unit=unit)
    if one.end is None:
        return f"{start} or more"
    return f"{start} to {short_words(one.end, unit=unit)}"


def short_words(value: float, *, unit: str) -> str:
    """Return the bound of a bin in few characters: 30 m, 4 h, 2 d."""
    if unit != "seconds":
        return f"{value:,.0f}"
    for name, seconds in (("d", 86400), ("h", 3600), ("m", 60)):
        if value >= seconds:
            return f"{value / seconds:g} {name}"
    return f"{value:g} s" if value else "0"

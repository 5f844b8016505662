"""Charts of the last hours of the inbox, drawn on the server."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from apps.webhooks.inbox_overview import Hour

WIDTH, HEIGHT = 720.0, 120.0
GAP = 0.2
"""The part of a column's place that is left empty."""
LEAST = 1.5
LABEL_EVERY = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a column: its kind names its colour and pattern."""

    kind: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class HourColumn:
    """An hour: its place in the chart, its parts from the bottom, and what it says."""

    x: float
    width: float
    bars: tuple[Bar, ...]
    words: str


@dataclass(frozen=True, slots=True)
class HourChart:
    """The columns of the hours, the places of the hours that are named, and the value at the top."""

    columns: tuple[HourColumn, ...]
    labels: tuple[tuple[float, str], ...]
    highest: float


Parts = Callable[[Hour], dict[str, float]]


def draw(hours: Sequence[Hour], *, parts: Parts, words: Callable[[Hour], str]) -> HourChart:
    """Return a chart in which the parts of an hour stand on each other."""
    highest = max((sum(parts(hour).values()) for hour in hours), default=0.0)
    place = WIDTH / max(1, len(hours))
    columns = [
        HourColumn(
            x=round(place * (number + GAP / 2), 2),
            width=round(place * (1 - GAP), 2),
            bars=_bars(parts(hour), highest=highest),
            words=f"{hour.begins_at:%H:%M} {words(hour)}",
        )
        for number, hour in enumerate(hours)
    ]
    labels = [(column.x, column.words[:5]) for column in columns[::LABEL_EVERY]]
    return HourChart(columns=tuple(columns), labels=tuple(labels), highest=highest)


def _bars(parts: dict[str, float], *, highest: float) -> tuple[Bar, ...]:
    bars, top = list[Bar](), HEIGHT
    for kind, value in parts.items():
        if value and highest:
            height = max(LEAST, HEIGHT * value / highest)
            top = max(0.0, top - height)
            bars.append(Bar(kind, round(top, 2), round(height, 2)))
    return tuple(bars)

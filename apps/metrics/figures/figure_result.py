"""The reading of a figure: its value for one query, and its series, groups, histogram and exclusions if asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A figure in one bucket of a series.

    `partial`: it is not a whole day, week or month, or has not ended. `complete`: everything of it is stored; None if
    unverified. `is_suppressed`: it has too few rows to be shown, here and below; `n` is 0 then, and null in JSON.
    """

    start: date
    end: date
    n: int
    value: float | None
    partial: bool
    complete: bool | None
    is_suppressed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A figure of a part of the rows, such as those of one repository. The key is empty for rows without any."""

    key: str
    name: str
    n: int
    value: float | None
    quantiles: Mapping[str, float | None]
    is_suppressed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """How many values are at least `start` and less than `end`; the last bin has no end."""

    start: float
    end: float | None
    n: int
    is_suppressed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureReading:
    """The value of a figure for one query. None is no value, never 0.

    `n` is the number of rows behind it; `numerator` and `denominator` are there where one was divided by the other.
    `reason` says why there is no value, if that is known: `no_source` or `no_production` of deployments, `suppressed`.
    `series`, `groups`, `histogram` and `excluded` (the numbers of rows that do not count, by reason) are None unless
    they were asked for.
    """

    figure: str
    unit: str
    value: float | None
    n: int
    mean: float | None = None
    median: float | None = None
    p75: float | None = None
    p90: float | None = None
    numerator: int | None = None
    denominator: int | None = None
    remarks: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    is_suppressed: bool = False
    quantiles: Mapping[str, float | None] | None = None
    series: tuple[Point, ...] | None = None
    groups: tuple[Group, ...] | None = None
    histogram: tuple[Bin, ...] | None = None
    excluded: Mapping[str, int] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the reading as JSON."""
        parts = {name: getattr(self, name) for name in ("series", "groups", "histogram")}
        return _as_dict(self) | {name: found and tuple(map(_as_dict, found)) for name, found in parts.items()}


def _as_dict(one: Any) -> dict[str, Any]:
    """Return the fields; dataclasses.asdict copies every value, which takes many times longer."""
    found = {name: getattr(one, name) for name in one.__slots__}
    return found | {"n": None} if one.is_suppressed else found

"""A figure's value, computed from the rows that it counts."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from django.db.models import Avg, Count, Sum

from apps.metrics.figures.expressions import Quantiles
from apps.metrics.figures.query import FigureQuery
from apps.metrics.figures.registry import FIGURES, Figure, Measure, figure_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureReading:
    """What a figure is, for one query. None is no value, never 0.

    `n` is the number of rows behind it; `numerator` and `denominator` are there where one was divided by the other.
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

    def as_dict(self) -> dict[str, Any]:
        """As JSON knows it."""
        return asdict(self)


def read_figure(key: str, query: FigureQuery) -> FigureReading:
    """Compute one figure."""
    figure = figure_of(key)
    remarks = {f"remark_{name}": remark(query) for name, remark in figure.remarks.items()}
    found = figure.population(query).aggregate(n=Count("pk"), **_aggregates(figure), **remarks)
    return FigureReading(
        figure=figure.key,
        unit=figure.unit,
        n=found["n"],
        remarks={name: found[f"remark_{name}"] for name in figure.remarks},
        **_values(figure, found, query=query),
    )


def read_figures(query: FigureQuery, *, keys: Iterable[str] | None = None) -> list[FigureReading]:
    """Compute several figures, all of them unless named, in the order of the registry or of the names."""
    return [read_figure(key, query) for key in (FIGURES if keys is None else keys)]


def _aggregates(figure: Figure) -> dict[str, Any]:
    match figure.measure:
        case Measure.DISTRIBUTION:
            return {"mean": Avg("value"), "quantiles": Quantiles("value")}
        case Measure.SHARE:
            return {"numerator": Sum("value")}
        case _:
            return {}


def _values(figure: Figure, found: Mapping[str, Any], *, query: FigureQuery) -> dict[str, Any]:
    match figure.measure:
        case Measure.COUNT:
            return {"value": found["n"]}
        case Measure.DISTRIBUTION:
            median, p75, p90 = found["quantiles"] or (None, None, None)
            mean = None if found["mean"] is None else float(found["mean"])
            return {"value": median, "mean": mean, "median": median, "p75": p75, "p90": p90}
        case Measure.PER_DAY:
            return _quotient(found["n"], query.window.days_begun(query.as_of))
        case Measure.SHARE:
            return _quotient(int(found["numerator"] or 0), found["n"])


def _quotient(numerator: int, denominator: int) -> dict[str, Any]:
    value = numerator / denominator if denominator else None
    return {"value": value, "numerator": numerator, "denominator": denominator}

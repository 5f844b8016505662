"""The value of a figure, computed from its rows."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from django.db.models import Avg, Sum

from apps.metrics.completeness import Completeness
from apps.metrics.figures.expressions import Quantiles, count_rows
from apps.metrics.figures.query import FigureQuery
from apps.metrics.figures.registry import FIGURES, Figure, Measure, figure_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureReading:
    """The value of a figure for one query. None is no value, never 0.

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
    reason: str = ""
    """Why there is no value, if that is known: `no_source` or `no_production` of deployments."""

    def as_dict(self) -> dict[str, Any]:
        """Return the reading as JSON."""
        return asdict(self)


def read_figure(key: str, query: FigureQuery) -> FigureReading:
    """Compute one figure."""
    [reading] = read_figures(query, keys=[key])
    return reading


def read_figures(query: FigureQuery, *, keys: Iterable[str] | None = None) -> list[FigureReading]:
    """Compute several figures, by default all, in the order of the registry or of the names.

    Those that count among the same rows are computed in one statement.
    """
    figures = [figure_of(key) for key in (FIGURES if keys is None else keys)]
    alike: dict[Any, dict[str, Figure]] = {}
    for figure in figures:
        alike.setdefault(figure.population.rows, {})[figure.key] = figure
    read = {key: reading for group in alike.values() for key, reading in _read_alike(group, query=query)}
    return [read[figure.key] for figure in figures]


def _read_alike(figures: Mapping[str, Figure], *, query: FigureQuery) -> Iterator[tuple[str, FigureReading]]:
    rows = next(iter(figures.values())).population.rows(query)
    wanted = {key: _aggregates(figure, query=query) for key, figure in figures.items()}
    found = rows.aggregate(**{f"{key}_{name}": one for key, own in wanted.items() for name, one in own.items()})
    for key, figure in figures.items():
        yield key, _reading(figure, {name: found[f"{key}_{name}"] for name in wanted[key]}, query=query)


def _reading(figure: Figure, found: Mapping[str, Any], *, query: FigureQuery) -> FigureReading:
    if figure.lacks is not None and not found["n"] and (reason := figure.lacks(query)):
        return FigureReading(figure=figure.key, unit=figure.unit, value=None, n=0, reason=reason)
    return FigureReading(
        figure=figure.key,
        unit=figure.unit,
        n=found["n"],
        remarks={name: found[f"remark_{name}"] for name in figure.remarks},
        **_values(figure, found, query=query),
    )


def _aggregates(figure: Figure, *, query: FigureQuery) -> dict[str, Any]:
    only, value = figure.population.only, figure.population.value(query)
    aggregates: dict[str, Any] = {"n": count_rows(filter=only)}
    aggregates |= {f"remark_{name}": remark(query) for name, remark in figure.remarks.items()}
    match figure.measure:
        case Measure.DISTRIBUTION:
            aggregates |= {"mean": Avg(value, filter=only), "quantiles": Quantiles(value, filter=only)}
        case Measure.SHARE:
            aggregates["numerator"] = Sum(value, filter=only)
    return aggregates


def _values(figure: Figure, found: Mapping[str, Any], *, query: FigureQuery) -> dict[str, Any]:
    match figure.measure:
        case Measure.COUNT:
            return {"value": found["n"]}
        case Measure.DISTRIBUTION:
            median, p75, p90 = found["quantiles"] or (None, None, None)
            mean = None if found["mean"] is None else float(found["mean"])
            return {"value": median, "mean": mean, "median": median, "p75": p75, "p90": p90}
        case Measure.PER_DAY:
            return _quotient(found["n"], query.window.days_begun(query.end_at))
        case Measure.SHARE:
            return _quotient(int(found["numerator"] or 0), found["n"])


def _quotient(numerator: int, denominator: int) -> dict[str, Any]:
    value = numerator / denominator if denominator else None
    return {"value": value, "numerator": numerator, "denominator": denominator}


def completeness_of(query: FigureQuery, *, keys: Iterable[str] | None = None) -> Completeness:
    """Return the completeness of all figures together, or of those named, in the window."""
    figures = [figure_of(key) for key in (FIGURES if keys is None else keys)]
    streams = dict.fromkeys(stream for figure in figures for stream in figure.streams)
    return query.report.of_team(start_at=query.window.start_at, end_at=query.end_at, streams=tuple(streams))


def completeness_by_figure(query: FigureQuery, *, keys: Iterable[str] | None = None) -> dict[str, Completeness]:
    """Return the completeness of each figure, or of those named, by its own streams."""
    found: dict[tuple[Any, ...], Completeness] = {}
    told: dict[str, Completeness] = {}
    for key in FIGURES if keys is None else keys:
        figure = figure_of(key)
        alike = figure.streams, figure.looks_back
        if alike not in found:
            found[alike] = _of_figure(figure, query=query)
        told[key] = found[alike]
    return told


def is_read(figure: Figure, query: FigureQuery) -> bool | None:
    """Return whether everything that the figure counts was read; None if unverified."""
    found = _of_figure(figure, query=query)
    if found.complete_until is None:
        return None
    return query.end_at <= found.complete_until and not found.gaps


def _of_figure(figure: Figure, *, query: FigureQuery) -> Completeness:
    start_at = None if figure.looks_back else query.window.start_at
    return query.report.of_team(start_at=start_at, end_at=query.end_at, streams=figure.streams)

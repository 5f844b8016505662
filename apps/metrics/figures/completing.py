"""Up to when figures are complete, each by what it is read from."""

from collections.abc import Iterable
from typing import Any

from apps.metrics.completeness import Completeness
from apps.metrics.figures.query import FigureQuery
from apps.metrics.figures.registry import FIGURES, Figure, figure_of


def completeness_of(query: FigureQuery, *, keys: Iterable[str] | None = None) -> Completeness:
    """Of all the figures together, or those named, in the window."""
    figures = [figure_of(key) for key in (FIGURES if keys is None else keys)]
    streams = dict.fromkeys(stream for figure in figures for stream in figure.streams)
    return query.report.of_team(start_at=query.window.start_at, end_at=query.end_at, streams=tuple(streams))


def completeness_by_figure(query: FigureQuery, *, keys: Iterable[str] | None = None) -> dict[str, Completeness]:
    """Of each figure by itself, or of those named: a hole in what it is not read from is none of its own."""
    found: dict[tuple[Any, ...], Completeness] = {}
    told: dict[str, Completeness] = {}
    for key in FIGURES if keys is None else keys:
        figure = figure_of(key)
        alike = figure.streams, figure.looks_back
        if alike not in found:
            found[alike] = _of_figure(figure, query=query)
        told[key] = found[alike]
    return told


def _of_figure(figure: Figure, *, query: FigureQuery) -> Completeness:
    start_at = None if figure.looks_back else query.window.start_at
    return query.report.of_team(start_at=start_at, end_at=query.end_at, streams=figure.streams)

"""A team's figures as JSON, for the API, the command and the hourly task."""

from collections.abc import Iterable, Mapping
from typing import Any

from apps.activity.models import Change
from apps.metrics.completeness.descriptions import describe_completeness, describe_with_sentence, format_instant
from apps.metrics.figures.query import FigureQuery
from apps.metrics.figures.registry import FIGURES
from apps.metrics.figures.values import FigureReading, completeness_by_figure, completeness_of, is_read, read_figures


def as_document(query: FigureQuery, *, keys: Iterable[str] | None = None) -> dict[str, Any]:
    """Return the query and the figures, all or those named, with their definitions."""
    named = None if keys is None else list(keys)
    return {**describe_query(query, keys=named), "figures": describe_figures(query, keys=named)}


def describe_query(query: FigureQuery, *, keys: Iterable[str] | None = None) -> dict[str, Any]:
    """Return the query with its defaults, and the completeness of the figures."""
    window = query.window
    told = completeness_of(query, keys=keys)
    return {
        "team": query.team.slug,
        "window": {
            "start": window.start.isoformat(),
            "end": window.end.isoformat(),
            "time_zone": window.time_zone,
            "days": window.days,
        },
        "bots": str(query.bots),
        "repositories": None if query.repository_ids is None else list(query.repository_ids),
        "as_of": format_instant(query.as_of),
        "is_recalculating": Change.objects.exists(),
        **describe_with_sentence(told, report=query.report),
    }


def describe_figures(
    query: FigureQuery, *, keys: Iterable[str] | None = None, is_compared: bool = False
) -> list[dict[str, Any]]:
    """Return the readings with their definitions and, if compared, the values of the previous period."""
    named = list(FIGURES) if keys is None else list(keys)
    before = _compared(query.compared_with(), keys=named) if is_compared else {}
    complete = completeness_by_figure(query, keys=named)
    return [
        _described(reading, before=before.get(reading.figure))
        | describe_completeness(complete[reading.figure], names=query.report.names)
        for reading in read_figures(query, keys=named)
    ]


def _compared(query: FigureQuery, *, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    return {reading.figure: _earlier(reading, query=query) for reading in read_figures(query, keys=keys)}


def _earlier(reading: FigureReading, *, query: FigureQuery) -> dict[str, Any]:
    """Return the value of an earlier period; none if some of it was never read."""
    is_complete = is_read(FIGURES[reading.figure], query)
    return {
        "value": None if is_complete is False else reading.value,
        "n": reading.n,
        "start_at": format_instant(query.window.start_at),
        "end_at": format_instant(query.end_at),
        "complete": is_complete,
    }


def _described(reading: FigureReading, *, before: Mapping[str, Any] | None) -> dict[str, Any]:
    figure = FIGURES[reading.figure]
    return {
        "figure": figure.key,
        "title": figure.title,
        "measure": str(figure.measure),
        "definition": figure.definition,
        "rules": list(figure.rules),
        "streams": list(figure.streams),
        **reading.as_dict(),
        "previous": before,
    }

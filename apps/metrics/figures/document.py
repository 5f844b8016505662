"""A team's figures as JSON, for the API, the command and the hourly task."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from apps.metrics.completeness.descriptions import describe_completeness, describe_with_sentence, format_instant
from apps.metrics.figures.figure_query import FigureQuery
from apps.metrics.figures.figure_reader import (
    VALUE_ONLY,
    Asked,
    completeness_by_figure,
    completeness_of,
    figures_for,
    is_complete,
    read_together,
)
from apps.metrics.figures.figure_result import FigureReading
from apps.metrics.figures.registry import figure_of


def as_document(query: FigureQuery, *, keys: Iterable[str] | None = None, asked: Asked = VALUE_ONLY) -> dict[str, Any]:
    """Return the query and the figures, all or those named, with their definitions."""
    named = None if keys is None else list(keys)
    return {**describe_query(query, keys=named), "figures": describe_figures(query, keys=named, asked=asked)}


def describe_query(query: FigureQuery, *, keys: Iterable[str] | None = None) -> dict[str, Any]:
    """Return the query with its defaults, and the completeness of the figures."""
    window = query.window
    completeness = completeness_of(query, keys=keys)
    return {
        "team": query.team.slug,
        "window": {
            "start": window.start.isoformat(),
            "end": window.end.isoformat(),
            "time_zone": window.time_zone,
            "days": window.days,
        },
        "bots": str(query.bots),
        "agents": str(query.agents or query.bots),
        "repositories": None if query.repository_ids is None else list(query.repository_ids),
        "author": None if query.author is None else query.author.login,
        "labels": list(query.labels),
        "ai": None if query.ai is None else str(query.ai),
        "variant": query.variant or None,
        "services": list(query.services),
        "hours": str(query.hours),
        "attribution": str(query.attribution),
        "as_of": format_instant(query.as_of),
        "is_recalculating": query.is_recalculating,
        **describe_with_sentence(completeness, report=query.report),
    }


def describe_figures(
    query: FigureQuery,
    *,
    keys: Iterable[str] | None = None,
    asked: Asked = VALUE_ONLY,
    compared: FigureQuery | None = None,
) -> list[dict[str, Any]]:
    """Return the readings with their definitions and, if compared, the values of the other period."""
    named = [one.key for one in figures_for(query, keys=keys, group_by=asked.group_by)]
    questions = [(query, asked)] if compared is None else [(query, asked), (compared, VALUE_ONLY)]
    readings, *others = read_together(questions, keys=named)
    before = {} if compared is None else _compared(compared, readings=others[0])
    complete = completeness_by_figure(query, keys=named)
    return [
        _described(reading, query=query, before=before.get(reading.figure))
        | describe_completeness(complete[reading.figure], names=query.report.names)
        for reading in readings
    ]


def _compared(query: FigureQuery, *, readings: Sequence[FigureReading]) -> dict[str, dict[str, Any]]:
    """Return the values of another period, by figure; none if some of it was never read."""
    by_figure = completeness_by_figure(query, keys=[one.figure for one in readings])
    complete = {key: is_complete(found, query=query) for key, found in by_figure.items()}
    return {
        one.figure: {
            "value": None if complete[one.figure] is False else one.value,
            "n": None if one.is_suppressed else one.n,
            "is_suppressed": one.is_suppressed,
            "start_at": format_instant(query.window.start_at),
            "end_at": format_instant(query.end_at),
            "complete": complete[one.figure],
        }
        for one in readings
    }


def _described(reading: FigureReading, *, query: FigureQuery, before: Mapping[str, Any] | None) -> dict[str, Any]:
    figure = figure_of(reading.figure, variant=query.variant)
    excluded = None if reading.excluded is None else [{"reason": one, "n": n} for one, n in reading.excluded.items()]
    return {
        "figure": figure.key,
        "title": figure.title,
        "version": figure.version,
        "measure": str(figure.measure),
        "definition": figure.definition,
        "rules": list(figure.rules),
        "streams": list(figure.streams),
        "dimensions": list(figure.dimensions),
        "variants": list(figure.variants),
        **reading.as_dict(),
        "excluded": excluded,
        "previous": before,
    }

"""The entities behind a figure as CSV, for spreadsheets."""

import csv
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.renderers import BaseRenderer

from apps.metrics.figures import Entity, FigureQuery, figure_of
from apps.metrics.figures.entities import iterate_entities
from apps.metrics.links import github_url

COLUMNS = ("kind", "repository", "number", "name", "title", "account", "at", "value", "unit", "flags", "url")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


class CSVRenderer(BaseRenderer):
    """Stands for CSV in content negotiation; the view streams it. What it renders itself are errors."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def render(self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None) -> bytes:
        return f"{data.get('detail', '') if isinstance(data, dict) else ''}\n".encode()


class Lines:
    """A file that hands back what is written to it."""

    def write(self, line: str) -> str:
        return line


def stream(key: str, query: FigureQuery) -> StreamingHttpResponse:
    """A download of everything that the figure counts, the latest first."""
    rest = lines(key, query)
    first = list(islice(rest, 2))  # the names and an entity: what takes too long fails here, where it can be answered
    response = StreamingHttpResponse(chain(first, rest), content_type="text/csv; charset=utf-8")
    name = f"{query.team.slug}-{key}-{query.window.start}-{query.window.end}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def lines(key: str, query: FigureQuery) -> Iterator[str]:
    writer = csv.writer(Lines())
    yield writer.writerow(COLUMNS)
    unit = figure_of(key).unit
    for entity in iterate_entities(key, query):
        yield writer.writerow([harmless(cell) for cell in cells(entity, unit=unit)])


def cells(entity: Entity, *, unit: str) -> tuple[Any, ...]:
    return (
        entity.kind,
        entity.repository,
        entity.number,
        entity.name,
        entity.title,
        entity.account,
        entity.at.isoformat(),
        entity.value,
        "" if entity.value is None else unit,
        " ".join(entity.flags),
        github_url(entity),
    )


def harmless(cell: Any) -> Any:
    """A text that a spreadsheet would take for a formula gets an apostrophe; titles are strangers' words.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    if isinstance(cell, str) and cell.lstrip(" ").startswith(FORMULA_STARTS):
        return f"'{cell}"
    return cell

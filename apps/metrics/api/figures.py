"""API of figures, with definitions and the entities they count."""

import csv
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import chain, islice
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.cache import get_conditional_response
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.api import Pages, truth_in
from apps.metrics.api.examples import ONE_FIGURE, SEVERAL_FIGURES, SUPPRESSED_GROUPS
from apps.metrics.api.openapi_parameters import DETAIL, FIGURE, FORMAT, KEY, LISTING, QUERY, READING, names
from apps.metrics.api.serializers import EntitySerializer, FigureSerializer, FiguresSerializer
from apps.metrics.figures import FIGURES, Asked, Entity, FigureQuery, figure_of, list_entities, read_figure
from apps.metrics.figures.document import describe_figures, describe_query
from apps.metrics.figures.entities import Listing, count_entities, github_url, iterate_entities
from apps.metrics.figures.suppression import SUPPRESSED, is_list_suppressed, least_of, words_of
from apps.metrics.freshness import tag_of
from apps.metrics.query_parameters import asked_in, compared_in, ensure_fitting, figures_in, listing_in, query_of
from apps.teams.api.views import OfTeam
from apps.teams.models import Team

COLUMNS = ("kind", "repository", "number", "name", "title", "account", "at", "value", "unit", "flags", "url")
Answer = dict[str, Any]
FILTERS = frozenset(names(*QUERY))
NOT_YOURS = OpenApiResponse(description="Figures of a person are for that person and for leads and admins of the team.")
NOT_SHOWN = OpenApiResponse(
    description="Figures of a person are for that person and for leads and admins of the team; or the list is "
    "`suppressed`: it has too few of one person or kind of evidence."
)
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


class CSVRenderer(BaseRenderer):
    """CSV in content negotiation. The view streams the file; this renders only errors."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def render(self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None) -> bytes:
        return f"{data.get('detail', '') if isinstance(data, dict) else ''}\n".encode()


class Lines:
    """A file whose write() returns the line."""

    def write(self, line: str) -> str:
        return line


def stream(key: str, query: FigureQuery, listing: Listing) -> StreamingHttpResponse:
    """Return a download of all entities in the list."""
    rest = lines(key, query, listing)
    first = list(
        islice(rest, 2)
    )  # the header and a row: a query that takes too long fails here, before the response starts
    response = StreamingHttpResponse(chain(first, rest), content_type="text/csv; charset=utf-8")
    what = "-".join(part for part in (query.team.slug, key, listing.excluded) if part)
    name = f"{what}-{query.window.start}-{query.window.end}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def lines(key: str, query: FigureQuery, listing: Listing) -> Iterator[str]:
    writer = csv.writer(Lines())
    yield writer.writerow(COLUMNS)
    unit = figure_of(key).unit
    for entity in iterate_entities(key, query, listing=listing):
        yield writer.writerow([escape_formula(cell) for cell in cells(entity, unit=unit)])


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


def escape_formula(cell: Any) -> Any:
    """Return the cell with an apostrophe if a spreadsheet would run it as a formula; titles are untrusted.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    if isinstance(cell, str) and cell.lstrip(" ").startswith(FORMULA_STARTS):
        return f"'{cell}"
    return cell


class OfFigures(OfTeam):
    """A view of a team's figures in the window of the URL."""

    filter_backends = ()
    pagination_class = None

    @cached_property
    def team(self) -> Team:
        """Return the team, without what its own page shows beside it."""
        return get_object_or_404(Team.objects.visible_to(self.request.user), slug=self.kwargs["slug"])

    def query(self) -> FigureQuery:
        return query_of(self.team, self.request.query_params, user=self.request.user)

    def shown(self, keys: Sequence[str], query: FigureQuery, asked: Asked) -> list[dict[str, Any]]:
        """Return the figures with the URLs of their entities, and the other period if requested."""
        compared = compared_in(self.request.query_params, query=query)
        figures = describe_figures(query, keys=keys, asked=asked, compared=compared)
        return [self.with_urls(figure) for figure in figures]

    def with_urls(self, figure: dict[str, Any]) -> dict[str, Any]:
        key, excluded = figure["figure"], figure["excluded"]
        if excluded is not None:
            excluded = [{**one, "url": self.entities_url(key, excluded=one["reason"])} for one in excluded]
        return {**figure, "excluded": excluded, "entities_url": self.entities_url(key)}

    def entities_url(self, key: str, **more: str) -> str:
        """Return the URL of the entities, with the same filters."""
        address = reverse("figure-entities", args=[self.team.slug, key])
        parameters = "&".join(part for part in (self.filters, urlencode(more)) if part)
        return f"{address}?{parameters}" if parameters else address

    @cached_property
    def filters(self) -> str:
        """Return the filters of the URL, as its parameters."""
        parameters = self.request.query_params.copy()
        for name in set(parameters) - FILTERS:
            parameters.pop(name)
        return parameters.urlencode()

    def answer(self, query: FigureQuery, keys: Sequence[str], answer: Callable[[], Answer]) -> HttpResponseBase:
        """Return the answer, or 304 if the client has it; then nothing is computed."""
        parameters = self.request.query_params
        tag = tag_of(query, tuple(keys), parameters.urlencode(), is_as_of_now=not parameters.get("as_of"))
        if known := get_conditional_response(self.request, etag=tag):
            return known
        return Response(answer(), headers={"ETag": tag})


class FiguresView(OfFigures):
    """The figures of one team and window."""

    declared_parameters = names(*QUERY, FIGURE, *READING, DETAIL)
    serializer_class = FiguresSerializer

    @extend_schema(
        tags=["figures"],
        summary="Figures of a team",
        parameters=[*QUERY, FIGURE, *READING, DETAIL],
        responses={200: FiguresSerializer, 403: NOT_YOURS},
        operation_id="teams_figures_list",
        examples=[SEVERAL_FIGURES],
    )
    def get(self, request: Request, slug: str) -> HttpResponseBase:
        """All figures, or those named, computed at the time of the request.

        With a filter, grouping or variant, these are the figures that have it.
        """
        query = self.query()
        is_detailed = truth_in(request.query_params, "detail")
        asked = asked_in(request.query_params, query=query, user=request.user, is_detailed=is_detailed)
        keys = figures_in(request.query_params, query=query, group_by=asked.group_by)
        return self.answer(
            query, keys, lambda: describe_query(query, keys=keys) | {"figures": self.shown(keys, query, asked)}
        )


class FigureView(OfFigures):
    """One figure of one team and window."""

    declared_parameters = names(*QUERY, *READING)
    serializer_class = FigureSerializer

    @extend_schema(
        tags=["figures"],
        summary="A figure of a team",
        parameters=[KEY, *QUERY, *READING],
        responses={200: FigureSerializer, 403: NOT_YOURS},
        examples=[ONE_FIGURE, SUPPRESSED_GROUPS],
    )
    def get(self, request: Request, slug: str, key: str) -> HttpResponseBase:
        """The figure with its definition, percentiles, histogram, the number of entities, and of those left out."""
        query, keys = self.query(), [named_figure(key)]
        asked = asked_in(request.query_params, query=query, user=request.user, is_detailed=True)
        ensure_fitting(keys, query=query, group_by=asked.group_by)
        return self.answer(
            query, keys, lambda: describe_query(query, keys=keys) | {"figure": self.shown(keys, query, asked)[0]}
        )


class EntitiesView(OfTeam):
    """The list behind a figure, or of what it leaves out."""

    declared_parameters = (*names(*QUERY, *LISTING), Pages.limit_query_param, Pages.offset_query_param)
    serializer_class = EntitySerializer
    renderer_classes = (JSONRenderer, CSVRenderer)
    filter_backends = ()

    @extend_schema(
        tags=["figures"],
        summary="Entities of a figure",
        parameters=[KEY, *QUERY, *LISTING, FORMAT],
        responses={
            (200, "application/json"): EntitySerializer(many=True),
            (200, "text/csv"): OpenApiResponse(str, description="The whole list; formulas are escaped."),
            403: NOT_SHOWN,
        },
        operation_id="teams_figures_entities_list",
    )
    def get(self, request: Request, slug: str, key: str) -> HttpResponseBase:
        """The entities that the figure counts, the latest first; `?format=csv` for all of them."""
        key, query = named_figure(key), query_of(self.team, request.query_params, user=request.user)
        ensure_fitting([key], query=query)
        listing = listing_in(request.query_params, figure=FIGURES[key])
        if is_list_suppressed(read_figure(key, query), query, listing=listing):
            raise PermissionDenied(words_of(least_of(query)), code=SUPPRESSED)
        if request.accepted_renderer.format == "csv":
            return stream(key, query, listing)
        page = self.paginate_queryset(EntityList(key, query, listing))  # type: ignore[arg-type]  # it slices like one
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class EntityList:
    """The list behind a figure, with count and slices for pagination."""

    def __init__(self, key: str, query: FigureQuery, listing: Listing) -> None:
        self._key = key
        self._query = query
        self._listing = listing

    def count(self) -> int:
        """Return the number of entities."""
        return count_entities(self._key, self._query, listing=self._listing)

    def __getitem__(self, part: slice) -> list[Any]:
        start = part.start or 0
        limit = (part.stop or 0) - start
        return list_entities(self._key, self._query, limit=limit, offset=start, listing=self._listing)


def named_figure(key: str) -> str:
    """Return the key if the figure exists; otherwise 404."""
    if key not in FIGURES:
        raise Http404(f"There is no figure {key!r}. Figures: {', '.join(FIGURES)}.")
    return key

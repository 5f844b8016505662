"""API of figures, with definitions and the entities they count."""

import csv
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import django_filters
from django.db.models import QuerySet
from django.http import Http404, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.cache import get_conditional_response
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import generics, serializers
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.api import InstantFilter, Pages, truth_in
from apps.metrics.api.parameters import FIGURE, FORMAT, KEY, PREVIOUS, WINDOW, names
from apps.metrics.api.serializers import EntitySerializer, FigureSerializer, FiguresSerializer
from apps.metrics.figures import FIGURES, Entity, FigureQuery, figure_of, list_entities
from apps.metrics.figures.document import describe_figures, describe_query
from apps.metrics.figures.entities import count_entities, github_url, iterate_entities
from apps.metrics.freshness import tag_of
from apps.metrics.models import HourlyFigures
from apps.metrics.parameters import figures_in, query_of
from apps.teams.api.views import OfTeam

COLUMNS = ("kind", "repository", "number", "name", "title", "account", "at", "value", "unit", "flags", "url")
Answer = Callable[[], dict[str, Any]]
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


def stream(key: str, query: FigureQuery) -> StreamingHttpResponse:
    """Return a download of all entities of the figure, the latest first."""
    rest = lines(key, query)
    first = list(
        islice(rest, 2)
    )  # the header and a row: a query that takes too long fails here, before the response starts
    response = StreamingHttpResponse(chain(first, rest), content_type="text/csv; charset=utf-8")
    name = f"{query.team.slug}-{key}-{query.window.start}-{query.window.end}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def lines(key: str, query: FigureQuery) -> Iterator[str]:
    writer = csv.writer(Lines())
    yield writer.writerow(COLUMNS)
    unit = figure_of(key).unit
    for entity in iterate_entities(key, query):
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

    def query(self) -> FigureQuery:
        return query_of(self.team, self.request.query_params)

    def shown(self, keys: Sequence[str], query: FigureQuery) -> list[dict[str, Any]]:
        """Return the figures with the URL of their entities, and the previous period if requested."""
        is_compared = truth_in(self.request.query_params, "previous")
        figures = describe_figures(query, keys=keys, is_compared=is_compared)
        return [{**figure, "entities_url": self.entities_url(figure["figure"])} for figure in figures]

    def entities_url(self, key: str) -> str:
        """Return the URL of the entities, with the same parameters."""
        address = reverse("figure-entities", args=[self.team.slug, key])
        parameters = self.request.query_params.copy()
        for name in ("figure", "previous", "format"):
            parameters.pop(name, None)
        return f"{address}?{parameters.urlencode()}" if parameters else address

    def unless_known(
        self, query: FigureQuery, keys: Sequence[str], answer: Callable[[], dict[str, Any]]
    ) -> HttpResponseBase:
        """Return the answer, or 304 if the client has it; then nothing is computed."""
        parameters = self.request.query_params
        tag = tag_of(query, tuple(keys), parameters.urlencode(), is_as_of_now=not parameters.get("as_of"))
        if known := get_conditional_response(self.request, etag=tag):
            return known
        return Response(answer(), headers={"ETag": tag})


class FiguresView(OfFigures):
    """The figures of one team and window."""

    declared_parameters = names(*WINDOW, FIGURE, PREVIOUS)
    serializer_class = FiguresSerializer

    @extend_schema(
        tags=["figures"],
        summary="Figures of a team",
        parameters=[*WINDOW, FIGURE, PREVIOUS],
        responses=FiguresSerializer,
        operation_id="teams_figures_list",
    )
    def get(self, request: Request, slug: str) -> HttpResponseBase:
        """All figures, or those named, computed at the time of the request."""
        query, keys = self.query(), figures_in(request.query_params)
        return self.unless_known(
            query, keys, lambda: describe_query(query, keys=keys) | {"figures": self.shown(keys, query)}
        )


class FigureView(OfFigures):
    """One figure of one team and window."""

    declared_parameters = names(*WINDOW, PREVIOUS)
    serializer_class = FigureSerializer

    @extend_schema(
        tags=["figures"], summary="A figure of a team", parameters=[KEY, *WINDOW, PREVIOUS], responses=FigureSerializer
    )
    def get(self, request: Request, slug: str, key: str) -> HttpResponseBase:
        """The figure with its definition, percentiles if it has any, and the number of entities."""
        query, keys = self.query(), [named_figure(key)]
        return self.unless_known(
            query, keys, lambda: describe_query(query, keys=keys) | {"figure": self.shown(keys, query)[0]}
        )


class EntitiesView(OfTeam):
    """The list behind a figure."""

    declared_parameters = (*names(*WINDOW), Pages.limit_query_param, Pages.offset_query_param)
    serializer_class = EntitySerializer
    renderer_classes = (JSONRenderer, CSVRenderer)
    filter_backends = ()

    @extend_schema(
        tags=["figures"],
        summary="Entities of a figure",
        parameters=[KEY, *WINDOW, FORMAT],
        responses={
            (200, "application/json"): EntitySerializer(many=True),
            (200, "text/csv"): OpenApiResponse(str, description="The whole list; formulas are escaped."),
        },
        operation_id="teams_figures_entities_list",
    )
    def get(self, request: Request, slug: str, key: str) -> HttpResponseBase:
        """The entities that the figure counts, the latest first; `?format=csv` for all of them."""
        key, query = named_figure(key), query_of(self.team, request.query_params)
        if request.accepted_renderer.format == "csv":
            return stream(key, query)
        page = self.paginate_queryset(EntityList(key, query))  # type: ignore[arg-type]  # it counts and slices like one
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class EntityList:
    """The list behind a figure, with count and slices for pagination."""

    def __init__(self, key: str, query: FigureQuery) -> None:
        self._key = key
        self._query = query

    def count(self) -> int:
        """Return the number of entities."""
        return count_entities(self._key, self._query)

    def __getitem__(self, part: slice) -> list[Any]:
        limit = (part.stop or 0) - (part.start or 0)
        return list_entities(self._key, self._query, limit=limit, offset=part.start or 0)


def named_figure(key: str) -> str:
    """Return the key if the figure exists; otherwise 404."""
    if key not in FIGURES:
        raise Http404(f"There is no figure {key!r}. Figures: {', '.join(FIGURES)}.")
    return key


class HourlyFigureSerializer(serializers.Serializer[Any]):
    """The value of a figure in an hour."""

    value = serializers.FloatField(allow_null=True, help_text="In the figure's unit; null if there are no entities.")
    n = serializers.IntegerField(help_text="Number of entities.")


class HourlyFiguresSerializer(serializers.ModelSerializer[HourlyFigures]):
    """The figures of the last 30 days, including today, at the time of computation."""

    figures = serializers.DictField(child=HourlyFigureSerializer(), help_text="By the figure's key.")

    class Meta:
        model = HourlyFigures
        fields = ("hour", "computed_at", "complete_until", "figures")
        read_only_fields = fields


class HourlyFiguresFilter(django_filters.FilterSet):  # type: ignore[misc]  # it comes without types
    """Filters by hour."""

    hour_after = InstantFilter(field_name="hour", lookup_expr="gte")
    hour_before = InstantFilter(field_name="hour", lookup_expr="lt")

    class Meta:
        model = HourlyFigures
        fields = ("hour_after", "hour_before")


@extend_schema_view(get=extend_schema(tags=["figures"], summary="Figures of a team, hour by hour"))
class HourlyFiguresView(OfTeam, generics.ListAPIView[HourlyFigures]):
    """The figures of the last 30 days as they were in each hour, the latest first.

    They are what was shown then. The same window computed now may differ because of corrected or late data. Of days
    more than 35 days ago, only the last hour is stored.
    """

    queryset = HourlyFigures.objects.none()
    serializer_class = HourlyFiguresSerializer
    filterset_class = HourlyFiguresFilter

    def get_queryset(self) -> QuerySet[HourlyFigures]:
        return HourlyFigures.objects.filter(team=self.team).order_by("-hour")

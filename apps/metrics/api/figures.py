"""Figures over the API: each with its definition and exactly what it counts."""

import csv
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

import django_filters
from django.db.models import QuerySet
from django.http import Http404, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
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
from apps.metrics.models import HourlyFigures
from apps.metrics.parameters import figures_in, query_of
from apps.teams.api.access import OfTeam

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


class OfFigures(OfTeam):
    """A view of a team's figures in the window that the address asks for."""

    filter_backends = ()
    pagination_class = None

    def query(self) -> FigureQuery:
        return query_of(self.team, self.request.query_params)

    def shown(self, keys: Sequence[str], query: FigureQuery) -> list[dict[str, Any]]:
        """The figures, each with the address of what it counts; the ones before if they were asked for."""
        is_compared = truth_in(self.request.query_params, "previous")
        figures = describe_figures(query, keys=keys, is_compared=is_compared)
        return [{**figure, "entities_url": self.entities_url(figure["figure"])} for figure in figures]

    def entities_url(self, key: str) -> str:
        """What the figure counts, by the same parameters."""
        address = reverse("figure-entities", args=[self.team.slug, key])
        parameters = self.request.query_params.copy()
        for name in ("figure", "previous", "format"):
            parameters.pop(name, None)
        return f"{address}?{parameters.urlencode()}" if parameters else address


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
    def get(self, request: Request, slug: str) -> Response:
        """Every figure of the registry, or those named, computed now from the derived rows."""
        query, keys = self.query(), figures_in(request.query_params)
        return Response(describe_query(query, keys=keys) | {"figures": self.shown(keys, query)})


class FigureView(OfFigures):
    """One figure of one team and window."""

    declared_parameters = names(*WINDOW, PREVIOUS)
    serializer_class = FigureSerializer

    @extend_schema(
        tags=["figures"], summary="A figure of a team", parameters=[KEY, *WINDOW, PREVIOUS], responses=FigureSerializer
    )
    def get(self, request: Request, slug: str, key: str) -> Response:
        """The figure with its definition, its percentiles where it has some, and the number behind it."""
        query, keys = self.query(), [named_figure(key)]
        return Response(describe_query(query, keys=keys) | {"figure": self.shown(keys, query)[0]})


class EntitiesView(OfTeam):
    """The list behind a figure."""

    declared_parameters = (*names(*WINDOW), Pages.limit_query_param, Pages.offset_query_param)
    serializer_class = EntitySerializer
    renderer_classes = (JSONRenderer, CSVRenderer)
    filter_backends = ()

    @extend_schema(
        tags=["figures"],
        summary="What a figure counts",
        parameters=[KEY, *WINDOW, FORMAT],
        responses={
            (200, "application/json"): EntitySerializer(many=True),
            (200, "text/csv"): OpenApiResponse(str, description="The whole list; text a sheet would run is quoted."),
        },
        operation_id="teams_figures_entities_list",
    )
    def get(self, request: Request, slug: str, key: str) -> HttpResponseBase:
        """Exactly the entities that the figure of the same address counts, the latest first; `?format=csv` for all."""
        key, query = named_figure(key), query_of(self.team, request.query_params)
        if request.accepted_renderer.format == "csv":
            return stream(key, query)
        page = self.paginate_queryset(EntityList(key, query))  # type: ignore[arg-type]  # it counts and slices like one
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class EntityList:
    """The list behind a figure, counted and sliced as a page needs it."""

    def __init__(self, key: str, query: FigureQuery) -> None:
        self._key = key
        self._query = query

    def count(self) -> int:
        """How many there are."""
        return count_entities(self._key, self._query)

    def __getitem__(self, part: slice) -> list[Any]:
        limit = (part.stop or 0) - (part.start or 0)
        return list_entities(self._key, self._query, limit=limit, offset=part.start or 0)


def named_figure(key: str) -> str:
    """The key in an address; a figure that the registry does not have is not there."""
    if key not in FIGURES:
        raise Http404(f"There is no figure {key!r}. Figures: {', '.join(FIGURES)}.")
    return key


class HourlyFigureSerializer(serializers.Serializer[Any]):
    """A figure as it stood."""

    value = serializers.FloatField(allow_null=True, help_text="In the figure's unit. Null is no value, which is not 0.")
    n = serializers.IntegerField(help_text="How many entities it was computed from.")


class HourlyFiguresSerializer(serializers.ModelSerializer[HourlyFigures]):
    """The figures of the last 30 days, today included, as they stood when they were computed."""

    figures = serializers.DictField(child=HourlyFigureSerializer(), help_text="By the figure's key.")

    class Meta:
        model = HourlyFigures
        fields = ("hour", "computed_at", "complete_until", "figures")
        read_only_fields = fields


class HourlyFiguresFilter(django_filters.FilterSet):  # type: ignore[misc]  # it comes without types
    """Hours by when they were."""

    hour_after = InstantFilter(field_name="hour", lookup_expr="gte")
    hour_before = InstantFilter(field_name="hour", lookup_expr="lt")

    class Meta:
        model = HourlyFigures
        fields = ("hour_after", "hour_before")


@extend_schema_view(get=extend_schema(tags=["figures"], summary="Figures of a team, hour by hour"))
class HourlyFiguresView(OfTeam, generics.ListAPIView[HourlyFigures]):
    """The figures of the last 30 days as they stood in each hour, the latest first.

    They are what was shown then. The same window computed now may differ, as facts were corrected or arrived late. Of
    days that are more than 35 days ago only the last hour is kept.
    """

    queryset = HourlyFigures.objects.none()
    serializer_class = HourlyFiguresSerializer
    filterset_class = HourlyFiguresFilter

    def get_queryset(self) -> QuerySet[HourlyFigures]:
        return HourlyFigures.objects.filter(team=self.team).order_by("-hour")

"""Figures over the API: each with its definition and exactly what it counts."""

from collections.abc import Sequence
from typing import Any

from django.http import Http404
from django.http.response import HttpResponseBase
from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.api import Pages
from apps.common.parameters import truth_in
from apps.metrics.api.asking import FIGURE, FORMAT, KEY, PREVIOUS, WINDOW, names
from apps.metrics.api.csv import CSVRenderer, stream
from apps.metrics.api.serializers import EntitySerializer, FigureSerializer, FiguresSerializer
from apps.metrics.figures import FIGURES, FigureQuery, list_entities
from apps.metrics.figures.document import describe_figures, describe_query
from apps.metrics.figures.entities import count_entities
from apps.metrics.parameters import figures_in, query_of
from apps.teams.api.access import OfTeam


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
        raise Http404(f"There is no figure {key!r}; there are {', '.join(FIGURES)}.")
    return key

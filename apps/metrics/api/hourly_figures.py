"""API of stored hourly figures, and how they differ from the same figures now."""

from datetime import UTC, datetime, timedelta
from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import generics, serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from apps.common.api import InstantFilter, Pages
from apps.metrics.api.examples import RESTATEMENTS
from apps.metrics.api.openapi_parameters import names
from apps.metrics.api.pull_requests import SourceSerializer
from apps.metrics.api.serializers import WindowSerializer
from apps.metrics.explanation.pull_request import source_as_json
from apps.metrics.figures import FigureQuery, Window
from apps.metrics.hourly_figures import DAYS, RestatedHour, Restatement, stored_hours
from apps.metrics.models import HourlyFigures
from apps.metrics.query_parameters import day_in
from apps.teams.api.views import OfTeam


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


EVERY = ("day", "hour")
SINCE = OpenApiParameter(
    "since", OpenApiTypes.DATE, description="The first day (UTC) of stored hours; default: 30 days ago."
)
EVERY_PARAMETER = OpenApiParameter(
    "every", str, enum=list(EVERY), description="The last stored hour of each day (default), or every hour."
)
Json = dict[str, Any]


class RestatementSerializer(serializers.Serializer[Json]):
    """A figure that is no longer what was shown."""

    figure = serializers.CharField(help_text="Its key.")
    title = serializers.CharField()
    unit = serializers.CharField()
    value_then = serializers.FloatField(allow_null=True, help_text="What was shown.")
    n_then = serializers.IntegerField()
    value = serializers.FloatField(allow_null=True, help_text="Of the same window up to the same instant, now.")
    n = serializers.IntegerField()
    difference = serializers.FloatField(allow_null=True, help_text="Null if one of them has no value.")
    value_as_of = serializers.FloatField(
        allow_null=True, help_text="As of the instant of the computation, by all that is known now."
    )
    n_as_of = serializers.IntegerField()
    cause = serializers.ChoiceField(
        choices=["later_events", "late_data"],
        help_text="`later_events`: what was shown was right then. `late_data`: late or corrected data, or other rules.",
    )
    version_then = serializers.IntegerField(allow_null=True, help_text="Of the definition; null if it was not stored.")
    version = serializers.IntegerField()
    sources = SourceSerializer(
        many=True, help_text="Up to 20 that were recorded since and can have changed it, the latest first."
    )
    has_more_sources = serializers.BooleanField()


class RestatedHourSerializer(serializers.Serializer[Json]):
    """The figures of an hour that are no longer what was shown."""

    hour = serializers.DateTimeField()
    computed_at = serializers.DateTimeField(help_text="The window ends here.")
    complete_until = serializers.DateTimeField(allow_null=True, help_text="As it was then; null if unverified.")
    window = WindowSerializer()
    is_window_stored = serializers.BooleanField(
        help_text="If not, it is that of the team's current time zone, and later sources are not known."
    )
    are_rules_changed = serializers.BooleanField(
        allow_null=True, help_text="The rules of derivations changed since; null if theirs were not stored."
    )
    settings_changed_at = serializers.DateTimeField(
        allow_null=True, help_text="When members, zone, repositories or rules of the team last changed, if since."
    )
    restated = RestatementSerializer(many=True)


class FewPages(Pages):
    """Pages of few hours, for each is computed."""

    default_limit = 7
    max_limit = 31


class RestatementsView(OfTeam):
    """The stored hourly figures of a team that are no longer what was shown."""

    declared_parameters = (*names(SINCE, EVERY_PARAMETER), FewPages.limit_query_param, FewPages.offset_query_param)
    serializer_class = RestatedHourSerializer
    pagination_class = FewPages
    filter_backends = ()

    @extend_schema(
        tags=["figures"],
        summary="Restated figures of a team",
        parameters=[SINCE, EVERY_PARAMETER],
        responses={200: RestatedHourSerializer(many=True)},
        operation_id="teams_figures_restatements_list",
        examples=[RESTATEMENTS],
    )
    def get(self, request: Request, slug: str) -> Response:
        """By stored hour, the latest first, each figure whose value differs, and what came since."""
        rows = stored_hours(self.team, since=self.since(), is_every_hour=self.every() == "hour")
        page: list[HourlyFigures] = self.paginate_queryset(rows) or []
        window = Window.last(DAYS, time_zone=self.team.time_zone)
        base = FigureQuery(team=self.team, window=window)
        hours = [describe(RestatedHour(kept, base)) for kept in page]
        return self.get_paginated_response(self.get_serializer(hours, many=True).data)

    def since(self) -> datetime:
        """Return the instant that the parameter names."""
        if not self.request.query_params.get("since"):
            return datetime.now(UTC) - timedelta(days=DAYS)
        day = day_in(self.request.query_params, "since")
        return datetime(day.year, day.month, day.day, tzinfo=UTC)

    def every(self) -> str:
        text = self.request.query_params.get("every") or EVERY[0]
        if text not in EVERY:
            raise ValidationError({"every": [f"{text!r} is not one of {', '.join(EVERY)}."]})
        return text


def describe(hour: RestatedHour) -> Json:
    window = hour.window
    return {
        "hour": hour.kept.hour,
        "computed_at": hour.kept.computed_at,
        "complete_until": hour.kept.complete_until,
        "window": {"start": window.start, "end": window.end, "time_zone": window.time_zone, "days": window.days},
        "is_window_stored": hour.kept.start is not None,
        "are_rules_changed": hour.are_rules_changed,
        "settings_changed_at": hour.settings_changed_at,
        "restated": [describe_restatement(one) for one in hour.restatements],
    }


def describe_restatement(one: Restatement) -> Json:
    return {
        "figure": one.figure.key,
        "title": one.figure.title,
        "unit": one.figure.unit,
        "value_then": one.then.value,
        "n_then": one.then.n,
        "value": one.now.value,
        "n": one.now.n,
        "difference": one.difference,
        "value_as_of": one.as_of.value,
        "n_as_of": one.as_of.n,
        "cause": one.cause,
        "version_then": one.version_then,
        "version": one.figure.version,
        "sources": [source_as_json(each) for each in one.sources],
        "has_more_sources": one.has_more_sources,
    }

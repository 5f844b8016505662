"""A team's figures as they stood in each hour."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import generics, serializers

from apps.common.api import InstantFilter
from apps.metrics.models import HourlyFigures
from apps.teams.api.access import OfTeam


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

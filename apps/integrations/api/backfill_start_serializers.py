"""Serializers of starting backfills: what is asked, and the forecast or the jobs in the answer."""

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from rest_framework import serializers

from apps.common.api import LONGEST_NAME, OnlyKnownFields, RepositoryField
from apps.common.db import LARGEST_ID
from apps.integrations.api.serializers import BackfillSerializer, BudgetSerializer
from apps.integrations.backfill.start import NothingToStartError, Scope
from apps.integrations.backfill.start_forecast import Forecast, InstallationForecast, StreamForecast
from apps.integrations.streams import STREAM_CHOICES, STREAM_NAMES
from apps.jobs.api import SkippedSerializer

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
CHOICES = ("repository", "installation", "team", "everything")


class StartSerializer(OnlyKnownFields, serializers.Serializer[Any]):
    """Which repositories (one of the first four), and what of each."""

    repository = RepositoryField(required=False, help_text="A name like `acme/api`, or GitHub's id.")
    installation = serializers.IntegerField(
        required=False, min_value=1, max_value=LARGEST_ID, help_text="GitHub's id: all that it reaches."
    )
    team = serializers.CharField(required=False, max_length=LONGEST_NAME, help_text="Slug: all that the team tracks.")
    everything = serializers.BooleanField(required=False, help_text="All that any installation reaches.")
    since = serializers.DateTimeField(
        required=False, allow_null=True, help_text="Only what was updated since; null or absent: everything."
    )
    until = serializers.DateTimeField(required=False, allow_null=True, help_text="Nothing that was created later.")
    streams = serializers.MultipleChoiceField(
        required=False, allow_empty=False, choices=STREAM_CHOICES, help_text="Absent: all of them."
    )
    dry_run = serializers.BooleanField(
        required=False, help_text="Start nothing; ask GitHub how much there is, and say what it takes."
    )

    def validate_since(self, since: datetime | None) -> datetime | None:
        if since is not None and not EARLIEST <= since <= timezone.now():
            raise serializers.ValidationError("Nothing was updated since: give an instant from 1970 until now.")
        return since

    def validate_until(self, until: datetime | None) -> datetime | None:
        if until is not None and until < EARLIEST:
            raise serializers.ValidationError("Nothing was created until then: give an instant from 1970 on.")
        return until

    def validate(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """Return the choice and the scope that were asked for."""
        named = {name: attributes[name] for name in CHOICES if attributes.get(name)}
        if len(named) != 1:
            raise serializers.ValidationError(f"Name which repositories by exactly one of {', '.join(CHOICES)}.")
        try:
            scope = scope_in(attributes)
        except NothingToStartError as error:
            raise serializers.ValidationError({"until": str(error)}) from error
        return {"choice": named, "scope": scope, "dry_run": attributes.get("dry_run", False)}


class StartDescription(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # it registers itself
    """Exactly one of the choices, and nothing that has no name."""

    target_class = StartSerializer

    def map_serializer(self, auto_schema: AutoSchema, direction: str) -> dict[str, Any]:
        described = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)  # type: ignore[no-untyped-call]
        return {**described, "additionalProperties": False, "oneOf": [{"required": [name]} for name in CHOICES]}


def scope_in(attributes: dict[str, Any]) -> Scope:
    streams = attributes.get("streams", STREAM_NAMES)
    return Scope(
        since=attributes.get("since"),
        until=attributes.get("until"),
        streams=tuple(stream for stream in STREAM_NAMES if stream in streams),
    )


class StartedSerializer(serializers.Serializer[Any]):
    """What a start has set in motion: one backfill per repository and stream."""

    new = serializers.IntegerField(help_text="How many are new, or begin again with wider bounds.")
    count = serializers.IntegerField(help_text="How many there are: new, or unfinished already.")
    backfills = BackfillSerializer(many=True, help_text="The first 500 of them.")
    unreachable = serializers.ListField(
        child=serializers.CharField(), help_text="Repositories that no installation of the App reaches."
    )


class StreamForecastSerializer(serializers.Serializer[StreamForecast]):
    """What one stream takes, over all the repositories."""

    stream = serializers.ChoiceField(choices=STREAM_CHOICES)
    items = serializers.IntegerField()
    is_estimate = serializers.BooleanField(help_text="Estimated from what was counted.")
    calls = serializers.IntegerField(source="cost.calls")
    points = serializers.IntegerField(source="cost.points", help_text="Of the hourly limits.")


class InstallationForecastSerializer(serializers.Serializer[InstallationForecast]):
    """What one installation has to read. All are read side by side."""

    installation_id = serializers.IntegerField()
    calls = serializers.IntegerField(source="cost.calls")
    points = serializers.IntegerField(source="cost.points")
    duration_s = serializers.FloatField(source="duration.seconds")
    budget = BudgetSerializer(many=True, source="budgets")


class ForecastSerializer(serializers.Serializer[Forecast]):
    """What a start would take. What could not be counted is in none of the numbers."""

    repositories = serializers.IntegerField(help_text="How many were counted.")
    calls = serializers.IntegerField(source="cost.calls", help_text="Requests of GitHub's API.")
    points = serializers.IntegerField(source="cost.points", help_text="What they cost of the hourly limits.")
    duration_s = serializers.FloatField(source="duration.seconds", help_text="Until the last one is done.")
    is_waiting = serializers.BooleanField(
        source="duration.is_waiting", help_text="Whether waiting for a limit is part of that."
    )
    under_way = serializers.IntegerField(help_text="Backfills that are unfinished already: a start continues them.")
    streams = StreamForecastSerializer(many=True)
    installations = InstallationForecastSerializer(many=True)
    uncounted = SkippedSerializer(many=True)
    unreachable = serializers.ListField(
        child=serializers.CharField(), help_text="Repositories that no installation of the App reaches."
    )

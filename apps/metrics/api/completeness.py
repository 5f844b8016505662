"""API of teams, with completeness."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers

from apps.activity.api.serializers import RepositoryLabelSerializer
from apps.metrics.completeness import Reason
from apps.metrics.completeness.descriptions import describe_team
from apps.teams.api.serializers import TeamSerializer
from apps.teams.api.views import TeamView
from apps.teams.models import Team

UNVERIFIED = "Null if unverified; `completeness` says why."
SENTENCE = "`complete_until` in a sentence, with what to do."


class GapSerializer(serializers.Serializer[Any]):
    """A period in which data of at least one of the streams and repositories may be missing."""

    from_at = serializers.DateTimeField()
    to_at = serializers.DateTimeField(help_text="Exclusive.")
    reason = serializers.ChoiceField(
        choices=[str(reason) for reason in Reason],
        help_text="history: before the loaded history; unread: between loaded periods; out_of_reach: no access.",
    )
    explanation = serializers.CharField(help_text="The gap in a sentence.")
    streams = serializers.ListField(child=serializers.CharField(), help_text="The same names as in backfills.")
    repository_count = serializers.IntegerField()
    repositories = RepositoryLabelSerializer(many=True, help_text="The first 20.")


class CompleteSerializer(serializers.Serializer[Any]):
    """Completeness: up to when everything is stored, and the gaps before then."""

    complete_until = serializers.DateTimeField(
        allow_null=True, help_text=f"Everything that GitHub had until then is stored, except in `gaps`. {UNVERIFIED}"
    )
    gaps = GapSerializer(many=True, help_text="Periods before `complete_until` in which data may be missing.")


class CompleteFields(serializers.Serializer[Any]):
    """The fields of completeness; a subclass computes them."""

    complete_until = serializers.SerializerMethodField()
    completeness = serializers.SerializerMethodField()
    gaps = serializers.SerializerMethodField()

    NAMES = ("complete_until", "completeness", "gaps")

    def complete(self, row: Any) -> Mapping[str, Any]:
        """Return the completeness of the row as JSON."""
        raise NotImplementedError

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_complete_until(self, row: Any) -> Any:
        """Everything that GitHub had until then is stored, except in `gaps`. Null if unverified."""
        return self.complete(row)["complete_until"]

    def get_completeness(self, row: Any) -> str:
        """`complete_until` in a sentence, with what to do."""
        return str(self.complete(row)["completeness"])

    @extend_schema_field(GapSerializer(many=True))
    def get_gaps(self, row: Any) -> Any:
        """Periods before `complete_until` in which data may be missing."""
        return self.complete(row)["gaps"]


class CompleteTeamSerializer(CompleteFields, TeamSerializer):
    """A team, with the completeness of all its repositories and streams."""

    class Meta(TeamSerializer.Meta):
        fields = (*TeamSerializer.Meta.fields, *CompleteFields.NAMES)  # type: ignore[assignment]

    def complete(self, row: Team) -> Mapping[str, Any]:
        if not hasattr(self, "_description"):
            self._description = describe_team(row)
        return self._description


@extend_schema_view(
    get=extend_schema(tags=["teams"], summary="A team"),
    patch=extend_schema(tags=["teams"], summary="Change a team"),
)
class CompleteTeamView(TeamView):
    """One team. Its admins may change the name, time zone, production environments and sync frequency."""

    serializer_class = CompleteTeamSerializer

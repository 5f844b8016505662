"""A team with what is complete of its repositories."""

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

NOT_PROVABLE = "Null: not provable; `completeness` says why."
SENTENCE = "`complete_until` in a sentence, and what can be done about it."


class GapSerializer(serializers.Serializer[Any]):
    """Time of which something may be missing: at each instant in it, of one of the streams and repositories."""

    from_at = serializers.DateTimeField()
    to_at = serializers.DateTimeField(help_text="It no longer belongs to the gap.")
    reason = serializers.ChoiceField(
        choices=[str(reason) for reason in Reason],
        help_text="history: earlier than anything that was read; unread: between what was; out_of_reach: the App lost "
        "the repository.",
    )
    explanation = serializers.CharField(help_text="The same in a sentence.")
    streams = serializers.ListField(child=serializers.CharField(), help_text="Named as backfills name them.")
    repository_count = serializers.IntegerField()
    repositories = RepositoryLabelSerializer(many=True, help_text="The first 20 of them.")


class CompleteSerializer(serializers.Serializer[Any]):
    """Up to when everything is here, and where before then something may be missing."""

    complete_until = serializers.DateTimeField(
        allow_null=True, help_text=f"Whatever GitHub had until then is here, but for `gaps`. {NOT_PROVABLE}"
    )
    gaps = GapSerializer(many=True, help_text="Later than `complete_until` nothing is one: it is not known yet.")


class CompleteFields(serializers.Serializer[Any]):
    """Fields for what is complete of a row; a subclass says what that is."""

    complete_until = serializers.SerializerMethodField()
    completeness = serializers.SerializerMethodField()
    gaps = serializers.SerializerMethodField()

    NAMES = ("complete_until", "completeness", "gaps")

    def complete(self, row: Any) -> Mapping[str, Any]:
        """The document about the row."""
        raise NotImplementedError

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_complete_until(self, row: Any) -> Any:
        """Whatever GitHub had until then is here, but for `gaps`. Null: not provable; `completeness` says why."""
        return self.complete(row)["complete_until"]

    def get_completeness(self, row: Any) -> str:
        """`complete_until` in a sentence, and what can be done about it."""
        return str(self.complete(row)["completeness"])

    @extend_schema_field(GapSerializer(many=True))
    def get_gaps(self, row: Any) -> Any:
        """Where something may be missing between what was read first and `complete_until`."""
        return self.complete(row)["gaps"]


class CompleteTeamSerializer(CompleteFields, TeamSerializer):
    """A team, and what is complete of its repositories: every stream of each."""

    class Meta(TeamSerializer.Meta):
        fields = (*TeamSerializer.Meta.fields, *CompleteFields.NAMES)  # type: ignore[assignment]

    def complete(self, row: Team) -> Mapping[str, Any]:
        if not hasattr(self, "_told"):
            self._told = describe_team(row)
        return self._told


@extend_schema_view(
    get=extend_schema(tags=["teams"], summary="A team"),
    patch=extend_schema(tags=["teams"], summary="Change a team"),
)
class CompleteTeamView(TeamView):
    """One team. Its admins may change name, time zone, production environments and how often it is synchronised."""

    serializer_class = CompleteTeamSerializer

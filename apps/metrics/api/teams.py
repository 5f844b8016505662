"""A team with what is complete of its repositories."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_view

from apps.metrics.api.completeness import CompleteFields
from apps.metrics.completeness.describing import describe_team
from apps.teams.api.serializers import TeamSerializer
from apps.teams.api.views import TeamView
from apps.teams.models import Team


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

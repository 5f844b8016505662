"""Serializers of teams."""

from datetime import time
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.activity.api.serializers import ContributorSerializer, RepositoryLabelSerializer, RepositorySerializer
from apps.activity.models import Contributor, GitHubTeam, Repository
from apps.common.api import OnlyKnownFields
from apps.teams.github_teams import GitHubMember, members_of
from apps.teams.models import Team, TeamAccess, TeamMember, TeamRepository
from apps.teams.visibility import contributors_addable_to, repositories_addable_to
from apps.users.access import is_operator


@extend_schema_field({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "example": "09:00"})
class LocalTimeField(serializers.TimeField):
    """A time of day without a zone, to the minute; the schema's `time` would have one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(format="%H:%M", input_formats=["%H:%M"], **options)


class TeamSerializer(OnlyKnownFields, serializers.ModelSerializer[Team]):
    """A team, with its time zone and production environments."""

    account = ContributorSerializer(
        read_only=True,
        allow_null=True,
        help_text="The team tracks every repository of this GitHub account; null for none.",
    )
    role = serializers.SerializerMethodField()
    working_from = LocalTimeField(required=False, help_text="When working hours begin, in local time.")
    working_until = LocalTimeField(required=False, help_text="When they end; 00:00 is the end of the day.")

    class Meta:
        model = Team
        fields = (
            "slug",
            "name",
            "account",
            "github_team",
            "is_kept_in_step",
            "role",
            "is_approved",
            "time_zone",
            "production_environments",
            "working_days",
            "working_from",
            "working_until",
            "holidays_of",
            "sync_frequency",
            "last_sync_status",
            "last_sync_error",
            "last_synced_at",
            "created_at",
        )
        read_only_fields = (
            "slug",
            "github_team",
            "is_approved",
            "last_sync_status",
            "last_sync_error",
            "last_synced_at",
            "created_at",
        )
        extra_kwargs = {  # noqa: RUF012  DRF's own shape
            "github_team": {"help_text": "GitHub's id of the team on GitHub that it was made of; null for none."},
            "is_kept_in_step": {
                "help_text": "Whether everyone who joins or leaves the team on GitHub joins or leaves this one, from "
                "then. Memberships that were written or changed by hand stay."
            },
            "time_zone": {"help_text": "An IANA name, such as Europe/Berlin; days start at its midnight."},
            "production_environments": {
                "help_text": "Names or patterns of the environments that count as production, in any case; * stands "
                "for any text. Empty: those that GitHub or their name calls production, prod or live."
            },
            "sync_frequency": {
                "help_text": "How often its repositories are automatically compared with GitHub: every full hour, at "
                "02:00 UTC, or never."
            },
            "last_sync_error": {"help_text": "The error of the last reconciliation; empty after a success."},
            "last_synced_at": {"help_text": "When the last successful reconciliation ended; null for never."},
        }

    def get_role(self, team: Team) -> str:
        """Your role in the team: operator, admin, lead or viewer."""
        user = self.context["request"].user
        if is_operator(user):
            return "operator"
        return next((access.role for access in team.accesses.all()), TeamAccess.Role.VIEWER)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Reject working hours that end before they begin."""
        begun = values.get("working_from", getattr(self.instance, "working_from", None))
        ended = values.get("working_until", getattr(self.instance, "working_until", None))
        if begun and ended and ended != time.min and ended <= begun:
            message = "Working hours must end after they begin; 00:00 is the end of the day."
            raise serializers.ValidationError({"working_until": [message]})
        return values

    def validate_is_kept_in_step(self, is_wanted: bool) -> bool:
        if is_wanted and (self.instance is None or self.instance.github_team_id is None):
            message = "Only a team that was made of one on GitHub can be kept in step with it."
            raise serializers.ValidationError(message)
        return is_wanted

    def validate_production_environments(self, names: list[str]) -> list[str]:
        return list(dict.fromkeys(names))


class GitHubMemberSerializer(serializers.Serializer[GitHubMember]):
    """A member of a team on GitHub."""

    contributor = ContributorSerializer(read_only=True)
    since = serializers.DateTimeField(
        read_only=True,
        allow_null=True,
        help_text="When GitHub reported it, or a listing first showed it; null for a member of the first listing.",
    )


class GitHubTeamSerializer(serializers.ModelSerializer[GitHubTeam]):
    """A team on GitHub, its members as far as they are known, and the team that was made of it."""

    account = ContributorSerializer(source="organization")
    members = serializers.SerializerMethodField()
    team = serializers.SerializerMethodField()

    class Meta:
        model = GitHubTeam
        fields = ("github_id", "slug", "name", "account", "members", "team")
        read_only_fields = fields

    @extend_schema_field(GitHubMemberSerializer(many=True))
    def get_members(self, github_team: GitHubTeam) -> Any:
        """Its members now, without those of its child teams."""
        if not hasattr(self, "_members"):
            self._members = members_of(self._shown(github_team))
        members: Any = self._members[github_team.pk]
        return GitHubMemberSerializer(members, many=True).data

    def get_team(self, github_team: GitHubTeam) -> str | None:
        """The slug of the team that was made of it, if you may see it."""
        if not hasattr(self, "_teams"):
            made = Team.objects.visible_to(self.context["request"].user)
            rows = made.filter(github_team__in=self._shown(github_team)).values_list("github_team", "slug")
            self._teams: dict[int, str] = dict(rows)
        return self._teams.get(github_team.pk)

    def _shown(self, github_team: GitHubTeam) -> list[GitHubTeam]:
        shown: Any = self.parent.instance if self.parent else [github_team]
        return list(shown)


class MadeTeamSerializer(OnlyKnownFields, serializers.Serializer[Any]):
    """How a team is made of one on GitHub."""

    is_kept_in_step = serializers.BooleanField(
        default=False,
        help_text="Whether everyone who joins or leaves it on GitHub from now on joins or leaves the team.",
    )


class TeamMemberSerializer(OnlyKnownFields, serializers.ModelSerializer[TeamMember]):
    """A contributor whose work counts for the team from `from_at` (inclusive) until `until_at` (exclusive)."""

    contributor = ContributorSerializer(read_only=True)
    contributor_id = serializers.PrimaryKeyRelatedField(
        queryset=Contributor.objects.none(),
        source="contributor",
        write_only=True,
        required=False,
        help_text="GitHub's id of the account. Either this or `login` is required.",
        error_messages={"does_not_exist": _("No account known to this team has the id {pk_value}.")},
    )
    login = serializers.CharField(
        write_only=True, required=False, help_text="The account's login, instead of `contributor_id`."
    )

    class Meta:
        model = TeamMember
        fields = ("id", "contributor", "contributor_id", "login", "from_at", "until_at", "is_from_github")
        read_only_fields = ("is_from_github",)
        extra_kwargs = {  # noqa: RUF012  DRF's own shape
            "from_at": {"help_text": "Null: from the beginning."},
            "until_at": {"help_text": "Null: still a member."},
            "is_from_github": {"help_text": "Whether it follows GitHub; false once it was changed by hand."},
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "team" in self.context:
            self.fields["contributor_id"].queryset = self.candidates

    def validate(self, attributes: dict[str, Any]) -> dict[str, Any]:
        login = attributes.pop("login", None)
        if self.instance is not None:
            if login or "contributor" in attributes:
                raise serializers.ValidationError(
                    {"contributor_id": _("The contributor of a membership cannot be changed.")}
                )
        elif "contributor" not in attributes:
            attributes["contributor"] = self.find(login)
        check_period({**instance_period(self.instance), **attributes})
        self.check_unique(attributes)
        return attributes

    @property
    def candidates(self) -> QuerySet[Contributor]:
        return contributors_addable_to(self.context["team"], by=self.context["request"].user)

    def find(self, login: str | None) -> Contributor:
        if not login:
            raise serializers.ValidationError({"contributor_id": _("Give contributor_id or login.")})
        found: Contributor | None = self.candidates.filter(login__iexact=login).first()
        if found is None:
            raise serializers.ValidationError({"login": _("No account known to this team has this login.")})
        return found

    def check_unique(self, attributes: dict[str, Any]) -> None:
        contributor = attributes.get("contributor") or self.instance.contributor  # type: ignore[union-attr]
        from_at = attributes.get("from_at", self.instance.from_at if self.instance else None)
        same = TeamMember.objects.filter(team=self.context["team"], contributor=contributor, from_at=from_at)
        others = same.exclude(pk=self.instance.pk) if self.instance else same
        if others.exists():
            raise serializers.ValidationError(
                {"from_at": _("There is already a membership of this contributor with this start.")}
            )


class TeamRepositorySerializer(serializers.ModelSerializer[Repository]):
    """A repository of the team; `is_added` if it was added by hand and can be removed."""

    is_added = serializers.BooleanField(read_only=True)

    class Meta(RepositorySerializer.Meta):
        fields = (*RepositorySerializer.Meta.fields, "is_added")  # type: ignore[assignment]
        read_only_fields = fields  # type: ignore[assignment]


class AddedRepositorySerializer(OnlyKnownFields, serializers.ModelSerializer[TeamRepository]):
    """A repository to track in addition to those of the team's account."""

    repository = RepositoryLabelSerializer(read_only=True)
    repository_id = serializers.PrimaryKeyRelatedField(
        queryset=Repository.objects.none(),
        source="repository",
        write_only=True,
        help_text="GitHub's id of the repository.",
        error_messages={"does_not_exist": _("No repository with the id {pk_value} can be added to this team by you.")},
    )

    class Meta:
        model = TeamRepository
        fields = ("repository", "repository_id")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "request" in self.context and "team" in self.context:
            addable = repositories_addable_to(self.context["team"], by=self.context["request"].user)
            self.fields["repository_id"].queryset = addable

    def validate(self, attributes: dict[str, Any]) -> dict[str, Any]:
        if TeamRepository.objects.filter(team=self.context["team"], repository=attributes["repository"]).exists():
            raise serializers.ValidationError({"repository_id": _("The team has this repository already.")})
        return attributes


def instance_period(member: TeamMember | None) -> dict[str, Any]:
    return {"from_at": member.from_at, "until_at": member.until_at} if member else {}


def check_period(attributes: dict[str, Any]) -> None:
    from_at, until_at = attributes.get("from_at"), attributes.get("until_at")
    if from_at and until_at and from_at >= until_at:
        raise serializers.ValidationError({"until_at": _("until_at must be after from_at.")})

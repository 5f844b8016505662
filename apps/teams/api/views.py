"""Teams, their members and repositories; who may change them, and what their lists can be narrowed by."""

from functools import cached_property
from typing import Any

import django_filters
from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import exceptions, generics, status
from rest_framework.permissions import SAFE_METHODS, BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from apps.activity.api.serializers import ContributorSerializer
from apps.activity.models import Contributor, GitHubTeam, Repository
from apps.common.api import OnlyKnownParameters, TruthFilter
from apps.teams.api.serializers import (
    AddedRepositorySerializer,
    GitHubTeamSerializer,
    MadeTeamSerializer,
    TeamMemberSerializer,
    TeamRepositorySerializer,
    TeamSerializer,
)
from apps.teams.github_teams import ProposalRefusedError, create_team, proposed_to
from apps.teams.models import Team, TeamAccess, TeamMember, TeamQuerySet, TeamRepository
from apps.teams.visibility import contributors_of, repositories_of
from apps.users.access import is_operator


class ChangesOnlyByAdmins(BasePermission):
    """Allow reading to all who see the team, and changes to its admins and operators."""

    message = "Only admins of the team and operators may change it."
    roles: tuple[str, ...] = (TeamAccess.Role.ADMIN,)
    is_read_by_all = True

    def has_permission(self, request: Request, view: Any) -> bool:
        accesses = TeamAccess.objects.filter(team=view.team, user_id=request.user.pk, role__in=self.roles)
        may_read = self.is_read_by_all and request.method in SAFE_METHODS
        return may_read or is_operator(request.user) or accesses.exists()


class ChangesOnlyByLeads(ChangesOnlyByAdmins):
    """Allow reading to all who see the team, and changes to its leads, its admins and operators."""

    message = "Only leads and admins of the team and operators may change it."
    roles = (TeamAccess.Role.LEAD, TeamAccess.Role.ADMIN)


EDITED_BY_ADMINS = (IsAuthenticated, ChangesOnlyByAdmins)
EDITED_BY_LEADS = (IsAuthenticated, ChangesOnlyByLeads)


def teams_of(request: Request) -> TeamQuerySet:
    """Return the teams the user may see, with what the serializer needs."""
    mine = TeamAccess.objects.filter(user_id=request.user.pk)
    visible: TeamQuerySet = Team.objects.visible_to(request.user)
    return visible.select_related("account").prefetch_related(Prefetch("accesses", queryset=mine))


class OfTeam(OnlyKnownParameters, generics.GenericAPIView[Any]):
    """A view under /teams/{slug}/; a team that the user may not see is 404."""

    @cached_property
    def team(self) -> Team:
        return get_object_or_404(teams_of(self.request), slug=self.kwargs["slug"])

    def get_serializer_context(self) -> dict[str, Any]:
        context = super().get_serializer_context()
        return dict(context) if getattr(self, "swagger_fake_view", False) else {**context, "team": self.team}


class ContributorFilter(django_filters.FilterSet):  # type: ignore[misc]  # it comes without types
    """Filters of contributors."""

    search = django_filters.CharFilter(field_name="login", lookup_expr="icontains", help_text="Part of the login.")
    kind = django_filters.ChoiceFilter(choices=Contributor.Kind.choices)

    class Meta:
        model = Contributor
        fields = ("search", "kind")


class TeamRepositoryFilter(django_filters.FilterSet):  # type: ignore[misc]  # it comes without types
    """Filters of repositories by name and state."""

    search = django_filters.CharFilter(field_name="full_name", lookup_expr="icontains", help_text="Part of the name.")
    is_archived = TruthFilter()

    class Meta:
        model = Repository
        fields = ("search", "is_archived")


class RepositoryFilter(TeamRepositoryFilter):
    """Filters of repositories, also by team."""

    team = django_filters.CharFilter(method="of_team", help_text="Slug: only those the team tracks.")

    class Meta(TeamRepositoryFilter.Meta):
        fields = ("search", "is_archived", "team")  # type: ignore[assignment]

    def of_team(self, rows: QuerySet[Repository], name: str, slug: str) -> QuerySet[Repository]:
        """Return the repositories of the team; none if the user may not see it or it does not exist."""
        teams = Team.objects.visible_to(self.request.user).filter(slug=slug)
        return rows.filter(pk__in=repositories_of(Team.objects.filter(pk__in=teams.values("pk"))))


@extend_schema_view(get=extend_schema(tags=["teams"], summary="Your teams"))
class TeamsView(OnlyKnownParameters, generics.ListAPIView[Team]):
    """The teams you may see; operators see all, including those that wait for approval."""

    queryset = Team.objects.none()
    serializer_class = TeamSerializer

    def get_queryset(self) -> QuerySet[Team]:
        return teams_of(self.request).order_by("name", "pk")


@extend_schema_view(
    get=extend_schema(tags=["teams"], summary="A team"),
    patch=extend_schema(tags=["teams"], summary="Change a team"),
)
class TeamView(OfTeam, generics.RetrieveUpdateAPIView[Team]):
    """One team. Its admins may change its name and settings."""

    http_method_names = ["get", "patch", "head", "options"]  # noqa: RUF012
    permission_classes = EDITED_BY_ADMINS
    serializer_class = TeamSerializer

    def get_object(self) -> Team:
        return self.team


class WouldComeBack(exceptions.APIException):
    """The membership would be made again at once."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "would_come_back"
    default_detail = _(
        "The team follows a team on GitHub, which would add this membership again. Set its `until_at`, or change who is"
        " in the team on GitHub."
    )


class OfMembers(OfTeam):
    """The memberships of the team."""

    serializer_class = TeamMemberSerializer
    queryset = TeamMember.objects.none()
    permission_classes = EDITED_BY_ADMINS

    def get_queryset(self) -> QuerySet[TeamMember]:
        members: QuerySet[TeamMember] = TeamMember.objects.filter(team=self.team).select_related("contributor")
        return members.order_by("contributor__login", "from_at", "pk")


@extend_schema_view(
    get=extend_schema(tags=["teams"], summary="Members, with dates"),
    post=extend_schema(tags=["teams"], summary="Add a member"),
)
class MembersView(OfMembers, generics.ListCreateAPIView[TeamMember]):
    """The members of the team, with dates. A team without members includes everyone."""

    def perform_create(self, serializer: BaseSerializer[TeamMember]) -> None:
        serializer.save(team=self.team)


@extend_schema_view(
    get=extend_schema(tags=["teams"], summary="A membership"),
    patch=extend_schema(tags=["teams"], summary="Change a membership's dates"),
    delete=extend_schema(
        tags=["teams"],
        summary="Delete a membership",
        responses={204: None, 409: OpenApiResponse(description="It would come back; `detail` says what to do.")},
    ),
)
class MemberView(OfMembers, generics.RetrieveUpdateDestroyAPIView[TeamMember]):
    """One membership. Set `until_at` when a member leaves; deleting it removes their past work as well."""

    http_method_names = ["get", "patch", "delete", "head", "options"]  # noqa: RUF012

    def perform_update(self, serializer: BaseSerializer[TeamMember]) -> None:
        serializer.save(is_from_github=False)

    def perform_destroy(self, member: TeamMember) -> None:
        if member.would_come_back:
            raise WouldComeBack
        member.delete()


@extend_schema_view(get=extend_schema(tags=["teams"], summary="Possible members"))
class ContributorsView(OfTeam, generics.ListAPIView[Contributor]):
    """Accounts known to the team: members of its organisation and contributors to its repositories."""

    queryset = Contributor.objects.none()
    serializer_class = ContributorSerializer
    filterset_class = ContributorFilter

    def get_queryset(self) -> QuerySet[Contributor]:
        return contributors_of(Team.objects.filter(pk=self.team.pk)).order_by("login", "github_id")


@extend_schema_view(
    get=extend_schema(tags=["teams"], summary="Repositories of a team"),
    post=extend_schema(tags=["teams"], summary="Add a repository", request=AddedRepositorySerializer),
)
class TeamRepositoriesView(OfTeam, generics.ListCreateAPIView[Repository]):
    """The repositories of the team's account, and those added one by one."""

    queryset = Repository.objects.none()
    permission_classes = EDITED_BY_ADMINS
    filterset_class = TeamRepositoryFilter

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        return AddedRepositorySerializer if self.request.method == "POST" else TeamRepositorySerializer

    def get_queryset(self) -> QuerySet[Repository]:
        added = TeamRepository.objects.filter(team=self.team, repository=OuterRef("pk"))
        tracked = repositories_of(Team.objects.filter(pk=self.team.pk))
        return tracked.annotate(is_added=Exists(added)).order_by("full_name", "github_id")

    def perform_create(self, serializer: BaseSerializer[Any]) -> None:
        serializer.save(team=self.team)


@extend_schema_view(delete=extend_schema(tags=["teams"], summary="Remove an added repository"))
class TeamRepositoryView(OfTeam, generics.DestroyAPIView[TeamRepository]):
    """A repository that was added by hand; those of the team's account cannot be removed."""

    queryset = TeamRepository.objects.none()
    serializer_class = AddedRepositorySerializer
    permission_classes = EDITED_BY_ADMINS
    lookup_field = "repository_id"

    def get_queryset(self) -> QuerySet[TeamRepository]:
        tracked: QuerySet[TeamRepository] = TeamRepository.objects.filter(team=self.team)
        return tracked


GITHUB_TEAM = OpenApiExample(
    "A team on GitHub",
    value={
        "github_id": 9001,
        "slug": "core",
        "name": "Core",
        "account": {"github_id": 500, "login": "acme", "kind": "organization"},
        "members": [
            {
                "contributor": {"github_id": 502, "login": "ben", "kind": "user"},
                "since": "2026-03-02T09:00:00Z",
            }
        ],
        "team": None,
    },
    response_only=True,
)


class ProposalRefused(exceptions.APIException):
    """No team can be made of it."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "proposal_refused"


class OfGitHubTeams(OnlyKnownParameters, generics.GenericAPIView[GitHubTeam]):
    """The teams on GitHub of the accounts whose team the user may see."""

    queryset = GitHubTeam.objects.none()
    serializer_class = GitHubTeamSerializer

    def get_queryset(self) -> QuerySet[GitHubTeam]:
        return proposed_to(self.request.user).select_related("organization").order_by("name", "github_id")


@extend_schema_view(get=extend_schema(tags=["teams"], summary="Teams on GitHub", examples=[GITHUB_TEAM]))
class GitHubTeamsView(OfGitHubTeams, generics.ListAPIView[GitHubTeam]):
    """Teams that your accounts have on GitHub, from which teams can be made here."""


class MadeTeamView(OfGitHubTeams):
    """The team that is made of one on GitHub."""

    filter_backends = ()
    pagination_class = None
    lookup_field = "github_id"

    @extend_schema(
        tags=["teams"],
        summary="Make a team of one on GitHub",
        request=MadeTeamSerializer,
        responses={201: TeamSerializer, 409: OpenApiResponse(description="It was made before, or has no members.")},
        operation_id="github_teams_team_create",
    )
    def post(self, request: Request, github_id: int) -> Response:
        """Create a team of its members, each from when GitHub reported it; for admins of the account's team.

        It has the repositories and settings that the account's team has now. With `is_kept_in_step`, everyone who joins
        or leaves it on GitHub joins or leaves the team here, from then; PATCH of the team changes that later.
        """
        github_team = self.get_object()
        if not Team.objects.administered_by(request.user).filter(account=github_team.organization).exists():
            raise exceptions.PermissionDenied(ChangesOnlyByAdmins.message)
        chosen = MadeTeamSerializer(data=request.data)
        chosen.is_valid(raise_exception=True)
        try:
            team = create_team(github_team, by=request.user, **chosen.validated_data)
        except ProposalRefusedError as error:
            raise ProposalRefused(str(error)) from error
        made = teams_of(request).get(pk=team.pk)
        return Response(TeamSerializer(made, context={"request": request}).data, status=status.HTTP_201_CREATED)

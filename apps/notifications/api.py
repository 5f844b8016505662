"""API of people: who has access to a team and as what, invitations to it, and for operators all users."""

from typing import Any

from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import exceptions, generics, serializers, status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer

from apps.common.api import OnlyKnownFields, OnlyKnownParameters
from apps.notifications.invitations import invite
from apps.teams.api.views import EDITED_BY_ADMINS, ChangesOnlyByAdmins, OfTeam
from apps.teams.models import Invitation, TeamAccess
from apps.teams.team_roles import AccessRefusedError, change_role, remove, set_active
from apps.users.access import OnlyOperators, is_operator
from apps.users.models import CustomUser

REFUSED = {409: OpenApiResponse(description="It would leave the team without an admin, or yourself without access.")}

HIDDEN = {403: OpenApiResponse(description="Only admins of the team and operators may see it; users only operators.")}


class AccessRefused(exceptions.APIException):
    """The access cannot be changed like this."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "access_refused"


class OnlyAdmins(ChangesOnlyByAdmins):
    """Allow reading and changes to admins of the team and operators."""

    message = "Only admins of the team and operators may see and change invitations."
    is_read_by_all = False


class OnlyForOperators(OnlyOperators):
    """Allow everything to operators, and nothing to others."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return is_operator(request.user)


class AccessSerializer(OnlyKnownFields, serializers.ModelSerializer[TeamAccess]):
    """A user's access to the team."""

    username = serializers.CharField(source="user.username", read_only=True)

    class Meta:
        model = TeamAccess
        fields = ("id", "username", "role")

    def update(self, instance: TeamAccess, validated_data: dict[str, Any]) -> TeamAccess:
        """Change the role, unless the team would be left without an admin."""
        role = validated_data.get("role", instance.role)
        try:
            change_role(instance, role=role, by=self.context["request"].user)
        except AccessRefusedError as error:
            raise AccessRefused(str(error)) from error
        instance.role = role
        return instance


class InvitationSerializer(OnlyKnownFields, serializers.ModelSerializer[Invitation]):
    """An open invitation to the team."""

    invited_by = serializers.CharField(
        source="invited_by.username", default=None, read_only=True, help_text="Null: an operator, by command."
    )
    url = serializers.CharField(
        read_only=True, default=None, help_text="The link, which works once: only in the answer to POST, else null."
    )

    class Meta:
        model = Invitation
        fields = ("id", "role", "email", "invited_by", "created_at", "expires_at", "url")
        read_only_fields = ("created_at", "expires_at")

    def create(self, validated_data: dict[str, Any]) -> Invitation:
        """Create it and send its link to the address, if there is one; then the answer has the link too."""
        try:
            issued = invite(self.context["team"], by=self.context["request"].user, **validated_data)
        except AccessRefusedError as error:
            raise AccessRefused(str(error)) from error
        issued.invitation.url = issued.url or None  # type: ignore[attr-defined]
        return issued.invitation


class UserSerializer(OnlyKnownFields, serializers.ModelSerializer[CustomUser]):
    """A user of the instance."""

    is_operator = serializers.BooleanField(source="is_superuser", read_only=True)

    class Meta:
        model = CustomUser
        fields = ("id", "username", "is_operator", "is_active")
        read_only_fields = ("username",)
        extra_kwargs = {  # noqa: RUF012  DRF's own shape
            "is_active": {"help_text": "False: signed out everywhere, and their API tokens do not work."}
        }

    def update(self, instance: CustomUser, validated_data: dict[str, Any]) -> CustomUser:
        """Deactivate or activate the user."""
        try:
            set_active(instance, is_active=validated_data.get("is_active", instance.is_active), by=self._operator)
        except AccessRefusedError as error:
            raise AccessRefused(str(error)) from error
        instance.refresh_from_db(fields=["is_active"])
        return instance

    @property
    def _operator(self) -> Any:
        return self.context["request"].user


class OfAccess(OfTeam):
    """Who has access to the team."""

    serializer_class = AccessSerializer
    queryset = TeamAccess.objects.none()
    permission_classes = EDITED_BY_ADMINS

    def get_queryset(self) -> QuerySet[TeamAccess]:
        return TeamAccess.objects.filter(team=self.team).select_related("team", "user").order_by("user__username")


@extend_schema_view(get=extend_schema(tags=["people"], summary="Who has access to a team"))
class AccessesView(OfAccess, generics.ListAPIView[TeamAccess]):
    """The users with access to the team, and their roles. Operators see every team without being listed."""


@extend_schema_view(
    get=extend_schema(tags=["people"], summary="The access of a user"),
    patch=extend_schema(tags=["people"], summary="Change a user's role", responses={200: AccessSerializer, **REFUSED}),
    delete=extend_schema(tags=["people"], summary="Remove a user's access", responses={204: None, **REFUSED}),
)
class AccessView(OfAccess, generics.RetrieveUpdateDestroyAPIView[TeamAccess]):
    """One user's access. Their account and their work in the figures stay when it is removed."""

    http_method_names = ["get", "patch", "delete", "head", "options"]  # noqa: RUF012

    def perform_destroy(self, instance: TeamAccess) -> None:
        try:
            remove(instance, by=self.request.user)
        except AccessRefusedError as error:
            raise AccessRefused(str(error)) from error


class OfInvitations(OfTeam):
    """The open invitations to the team."""

    serializer_class = InvitationSerializer
    queryset = Invitation.objects.none()
    permission_classes = (IsAuthenticated, OnlyAdmins)

    def get_queryset(self) -> QuerySet[Invitation]:
        return Invitation.objects.open().filter(team=self.team).select_related("invited_by")


@extend_schema_view(
    get=extend_schema(
        tags=["people"], summary="Open invitations", responses={200: InvitationSerializer(many=True), **HIDDEN}
    ),
    post=extend_schema(
        tags=["people"],
        summary="Invite somebody",
        responses={
            201: InvitationSerializer,
            409: OpenApiResponse(description="Mail cannot be sent, or the team has 100 open invitations."),
        },
    ),
)
class InvitationsView(OfInvitations, generics.ListCreateAPIView[Invitation]):
    """The open invitations; the answer to POST has the link, and with `email` it is also sent there."""

    def perform_create(self, serializer: BaseSerializer[Invitation]) -> None:
        serializer.save()


@extend_schema_view(delete=extend_schema(tags=["people"], summary="Revoke an invitation"))
class InvitationView(OfInvitations, generics.DestroyAPIView[Invitation]):
    """One open invitation; once it is revoked, its link no longer works."""

    def perform_destroy(self, instance: Invitation) -> None:
        Invitation.objects.filter(pk=instance.pk).revoke()


class OfUsers(OnlyKnownParameters, generics.GenericAPIView[CustomUser]):
    """All users, for operators."""

    serializer_class = UserSerializer
    queryset = CustomUser.objects.order_by("username")
    permission_classes = (IsAuthenticated, OnlyForOperators)


@extend_schema_view(
    get=extend_schema(tags=["people"], summary="Users", responses={200: UserSerializer(many=True), **HIDDEN})
)
class UsersView(OfUsers, generics.ListAPIView[CustomUser]):
    """All users of the instance, for operators."""


@extend_schema_view(
    get=extend_schema(tags=["people"], summary="A user", responses={200: UserSerializer, **HIDDEN}),
    patch=extend_schema(
        tags=["people"], summary="Deactivate or activate a user", responses={200: UserSerializer, **REFUSED}
    ),
)
class UserView(OfUsers, generics.RetrieveUpdateAPIView[CustomUser]):
    """One user. Deactivation signs them out everywhere and ends what their API tokens may; their access stays."""

    http_method_names = ["get", "patch", "head", "options"]  # noqa: RUF012


urlpatterns = [
    path("teams/<slug:slug>/access/", AccessesView.as_view(), name="team-accesses"),
    path("teams/<slug:slug>/access/<int:pk>/", AccessView.as_view(), name="team-access"),
    path("teams/<slug:slug>/invitations/", InvitationsView.as_view(), name="team-invitations"),
    path("teams/<slug:slug>/invitations/<int:pk>/", InvitationView.as_view(), name="team-invitation"),
    path("users/", UsersView.as_view(), name="user-list"),
    path("users/<int:pk>/", UserView.as_view(), name="user"),
]

"""The team of a URL, and who may change it."""

from functools import cached_property
from typing import Any

from django.db.models import Prefetch
from django.shortcuts import get_object_or_404
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from apps.common.api import OnlyKnownParameters
from apps.teams.models import Team, TeamAccess, TeamQuerySet
from apps.users.permissions import is_operator


class ChangesOnlyByAdmins(BasePermission):
    """Allow reading to all who see the team, and changes to its admins and operators."""

    message = "Only admins of the team and operators may change it."

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.method in SAFE_METHODS or is_operator(request.user):
            return True
        accesses = TeamAccess.objects.filter(team=view.team, user_id=request.user.pk, role=TeamAccess.Role.ADMIN)
        return accesses.exists()


class OfTeam(OnlyKnownParameters, GenericAPIView[Any]):
    """A view under /teams/{slug}/; a team that the user may not see is 404."""

    @cached_property
    def team(self) -> Team:
        return get_object_or_404(teams_of(self.request), slug=self.kwargs["slug"])

    def get_serializer_context(self) -> dict[str, Any]:
        context = super().get_serializer_context()
        return dict(context) if getattr(self, "swagger_fake_view", False) else {**context, "team": self.team}


def teams_of(request: Request) -> TeamQuerySet:
    """Return the teams the user may see, with what the serializer needs."""
    mine = TeamAccess.objects.filter(user_id=request.user.pk)
    visible: TeamQuerySet = Team.objects.visible_to(request.user)
    return visible.select_related("account").prefetch_related(Prefetch("accesses", queryset=mine))

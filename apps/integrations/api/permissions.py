"""Who may have history read, and look after what is being read."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.integrations.models import Backfill
from apps.teams.visibility import repositories_administered_by

ONLY_ADMINS = "Only operators, and admins of a team that tracks the repository, may do this."


class ChangedByAdmins(BasePermission):
    """Whoever sees a backfill may look at it; admins of a team that tracks its repository and operators may change it.

    Asked of the object, so that what is not the user's to see is 404 before anything is said of permissions.
    """

    message = ONLY_ADMINS

    def has_object_permission(self, request: Request, view: Any, obj: Backfill) -> bool:
        return repositories_administered_by(request.user).filter(pk=obj.repository_id).exists()

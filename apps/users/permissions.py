"""Who may do what an operator does."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.users.operators import is_operator


class OnlyOperators(BasePermission):
    """Operators (superusers) run the instance: they may read bodies and replay.

    Asked of the object, so that what is not the user's to see is 404 before anything is said of permissions.
    """

    message = "Only operators may do this."

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        return is_operator(request.user)

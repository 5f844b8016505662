"""Who may do what an operator does."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request


def is_operator(user: Any) -> bool:
    """Whether the user is an operator: a superuser who may still sign in."""
    return bool(user.is_authenticated and user.is_active and user.is_superuser)


class OnlyOperators(BasePermission):
    """Operators (superusers) run the instance: they may read bodies and replay.

    Asked of the object, so that what is not the user's to see is 404 before anything is said of permissions.
    """

    message = "Only operators may do this."

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        return is_operator(request.user)

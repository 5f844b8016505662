"""Permissions of operators."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request


def is_operator(user: Any) -> bool:
    """Return whether the user is an operator: an active superuser."""
    return bool(user.is_authenticated and user.is_active and user.is_superuser)


class OnlyOperators(BasePermission):
    """Allow only operators, who may read bodies and replay.

    Checked for the object, so that what the user may not see is 404 before it is 403.
    """

    message = "Only operators may do this."

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        return is_operator(request.user)

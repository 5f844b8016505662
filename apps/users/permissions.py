"""Who may do what an operator does."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request


class IsOperator(BasePermission):
    """Operators (superusers) run the instance: they may read bodies and replay."""

    message = "Only operators may do this."

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user.is_authenticated and request.user.is_active and request.user.is_superuser)

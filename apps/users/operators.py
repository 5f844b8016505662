"""Who runs the instance."""

from typing import Any


def is_operator(user: Any) -> bool:
    """Whether the user is an operator: a superuser who may still sign in."""
    return bool(user.is_authenticated and user.is_active and user.is_superuser)

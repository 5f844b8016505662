"""What each role in a team may do, and changes of who has which."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from apps.teams.models import TeamAccess
from apps.users.access import is_operator
from apps.users.models import CustomUser

Role = TeamAccess.Role
ROLES: Mapping[str, str] = {
    Role.VIEWER: "sees the team's figures, and figures of their own work",
    Role.LEAD: "sees figures by person, and sets goals",
    Role.ADMIN: "changes the team, decides who has access, and starts backfills",
}
"""What each role may do beyond the one before it, in the order of what they may."""


class AccessRefusedError(Exception):
    """The access of a user cannot be changed like this; the message says why."""


def rank(role: str) -> int:
    """Return how much a role may, compared with others."""
    return list(ROLES).index(role)


def change_role(access: TeamAccess, *, role: str, by: Any) -> None:
    """Give a user another role in the team."""
    if role not in ROLES:
        raise AccessRefusedError(f"There is no role {role!r}. Roles: {', '.join(ROLES)}.")
    with transaction.atomic():
        if role != Role.ADMIN:
            _ensure_not_last_admin(access, by=by)
        TeamAccess.objects.filter(pk=access.pk).update(role=role)


def remove(access: TeamAccess, *, by: Any) -> None:
    """Take a user's access to the team; their account and their work in the figures stay."""
    with transaction.atomic():
        _ensure_not_last_admin(access, by=by)
        TeamAccess.objects.filter(pk=access.pk).delete()


def set_active(user: CustomUser, *, is_active: bool, by: Any) -> bool:
    """Deactivate a user, whose sessions and API tokens then end, or activate them; return whether that changed."""
    if user.pk == by.pk and not is_active:
        raise AccessRefusedError("You cannot deactivate yourself. Another operator can.")
    return bool(CustomUser.objects.filter(pk=user.pk, is_active=not is_active).update(is_active=is_active))


def _ensure_not_last_admin(access: TeamAccess, *, by: Any) -> None:
    admins = TeamAccess.objects.select_for_update().filter(team=access.team_id, role=Role.ADMIN, user__is_active=True)
    if {admin.pk for admin in admins} == {access.pk} and not is_operator(by):
        raise AccessRefusedError(
            f"{access.user} is the only admin of {access.team}. Make somebody else an admin first."
        )

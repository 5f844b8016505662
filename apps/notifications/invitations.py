"""Invitations to teams: their links, by mail where it can be sent, and how they are accepted."""

import logging
import smtplib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Now
from django.urls import reverse

from apps.notifications.models import Notification
from apps.notifications.tasks import send_text
from apps.teams.models import Invitation, Team, TeamAccess
from apps.teams.models.teams import InvitationQuerySet
from apps.teams.team_roles import ROLES, AccessRefusedError, rank
from apps.users.models import CustomUser, digest_of
from apps.users.sign_in_limits import has_mail

MOST_OPEN = 100
AGAIN = timedelta(minutes=1)
"""Who makes the same invitation again within this time clicked twice."""
SESSION_KEY = "invitation"
logger = logging.getLogger(__name__)


class InvitationClosedError(Exception):
    """The invitation was used, revoked or has expired, also while it was being accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A new invitation; its link is known only now. One that `is_repeated` was just made and mailed, and has no link.

    `replaced` are the links that no longer work, because this one was made instead of them.
    """

    invitation: Invitation
    url: str
    is_mailed: bool
    is_repeated: bool = False
    replaced: int = 0


def invite(team: Team, *, role: str, email: str = "", by: CustomUser | None = None) -> Issued:
    """Create an invitation to the team, and send its link to the address if there is one.

    Somebody who clicks twice makes one: a mail is not sent again, and a new link replaces the one just made.
    """
    if role not in ROLES:
        raise AccessRefusedError(f"There is no role {role!r}. Roles: {', '.join(ROLES)}.")
    if email:
        ensure_mailable(email)
    with transaction.atomic():
        Team.objects.select_for_update(no_key=True).get(pk=team.pk)  # two clicks come one after the other
        recent = _just_made(team, role=role, email=email, by=by)
        if email and (known := recent.first()):
            return Issued(invitation=known, url="", is_mailed=False, is_repeated=True)
        replaced = recent.revoke()
        if Invitation.objects.open().filter(team=team).count() >= MOST_OPEN:
            raise AccessRefusedError(f"{team} has {MOST_OPEN} open invitations. Revoke some first.")
        invitation, secret = Invitation.objects.issue(team=team, role=role, email=email, by=by)
    url = f"{settings.PUBLIC_URL}{reverse('invitation', args=[secret])}"
    logger.info("invitation_issued", extra={"invitation_id": invitation.pk, "team_id": team.pk})
    is_mailed = bool(email) and _mail(invitation, url=url)
    return Issued(invitation=invitation, url=url, is_mailed=is_mailed, replaced=replaced)


def _just_made(team: Team, *, role: str, email: str, by: CustomUser | None) -> InvitationQuerySet:
    """Return the same open invitations of the last minute; of the command line none, which has no clicks."""
    if by is None:
        return Invitation.objects.none()
    same = Invitation.objects.open().filter(team=team, role=role, email=email, invited_by=by)
    return same.filter(created_at__gt=Now() - AGAIN)


def ensure_mailable(email: str) -> None:
    """Raise AccessRefusedError unless mail can be sent to the address."""
    if not has_mail():
        raise AccessRefusedError("No mail can be sent: EMAIL_URL is not set. Send the link yourself.")
    try:
        Invitation._meta.get_field("email").run_validators(email)  # also its length
    except ValidationError as error:
        raise AccessRefusedError(f"{email} is not an e-mail address.") from error


def _mail(invitation: Invitation, *, url: str) -> bool:
    context = {"invitation": invitation, "url": url}
    try:
        return send_text(invitation.email, template="invitation", context=context)
    except (OSError, smtplib.SMTPException):
        logger.warning("invitation_not_mailed", extra={"invitation_id": invitation.pk}, exc_info=True)
        return False


def invitation_of(secret: str) -> Invitation | None:
    """Return the invitation with this secret, which may have ended."""
    return Invitation.objects.filter(digest=digest_of(secret)).first()


def invitation_in(session: Mapping[str, Any]) -> Invitation | None:
    """Return the open invitation whose link was opened in this session."""
    number: Any = session.get(SESSION_KEY)
    found = Invitation.objects.open().filter(pk=number)
    return found.select_related("team", "invited_by").first()


def accept(invitation: Invitation, *, user: Any) -> TeamAccess:
    """Use the invitation up and give the user its role in the team; somebody who may more already keeps that."""
    with transaction.atomic():
        if not Invitation.objects.filter(pk=invitation.pk).accept(by=user):
            raise InvitationClosedError
        team = invitation.team
        access, is_new = TeamAccess.objects.get_or_create(team=team, user=user, defaults={"role": invitation.role})
        if not is_new and rank(access.role) < rank(invitation.role):
            access.role = invitation.role
            access.save(update_fields=["role"])
        if invitation.invited_by_id is not None:
            message = f"{user.get_username()} accepted your invitation and is now {access.role} of {team}."
            Notification.objects.create(user_id=invitation.invited_by_id, message=message)
    logger.info("invitation_accepted", extra={"invitation_id": invitation.pk, "user_id": user.pk})
    return access

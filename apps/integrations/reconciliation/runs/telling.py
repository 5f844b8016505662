"""Telling a team's admins that its reconciliation fails: a note, in the transaction at hand, and an e-mail after it."""

from functools import partial

from celery import current_app
from django.conf import settings
from django.db import transaction

from apps.notifications.tasks import send_notification
from apps.teams.models import Team, TeamAccess
from apps.users.models import CustomUser
from apps.webhooks.bell import ring

EMAIL_TASK = "apps.notifications.tasks.send_email"
TEMPLATE = "team_sync_failed"


def tell_admins(team: Team, *, words: str) -> None:
    """Leave each of the team's admins a note, and send an e-mail to those who have an address."""
    context = {"team": team.name, "words": words, "address": settings.PUBLIC_URL}
    admins = CustomUser.objects.filter(
        team_accesses__team=team, team_accesses__role=TeamAccess.Role.ADMIN, is_active=True
    )
    for user_id, address in admins.order_by("pk").values_list("pk", "email"):
        send_notification(user_id, f"{team.name} could not be compared with GitHub: {words}")
        if address:
            transaction.on_commit(partial(_send_email, user_id, context), robust=True)


def _send_email(user_id: int, context: dict[str, str]) -> None:
    ring.send([partial(current_app.send_task, EMAIL_TASK, args=[user_id, TEMPLATE, context], retry=False)])

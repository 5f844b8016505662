"""Tasks that check and clean up the instance."""

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from celery import shared_task
from django.contrib.sessions.models import Session
from django.db.models.functions import Now

from apps.integrations import refresh
from apps.integrations.delivery_log import scan
from apps.integrations.reconciliation import run_endings
from apps.jobs.dispatch import run_each
from apps.monitoring import status
from apps.notifications.models import MailMessage, Notification, WebhookMessage
from apps.teams.models import Invitation
from apps.users.models import ApiToken, CustomUser
from apps.webhooks import retention as bodies
from apps.webhooks.models import WebhookSecret

KEPT_FOR = timedelta(days=30)
"""The admin shows expired tokens and webhook secrets for this long."""
SIGN_INS_KEPT_FOR = timedelta(days=90)


def delete_expired() -> dict[str, int]:
    """Delete what expired long enough ago; return the count of each."""
    ended, old = Now() - KEPT_FOR, Now() - SIGN_INS_KEPT_FOR
    leftovers = {
        "api_tokens": ApiToken.objects.filter(expires_at__lt=ended),
        "webhook_secrets": WebhookSecret.objects.filter(not_after__lt=ended),
        "invitations": Invitation.objects.filter(expires_at__lt=ended),
        "sessions": Session.objects.filter(expire_date__lt=Now()),
        "sign_in_attempts": AccessAttempt.objects.filter(attempt_time__lt=old),
        "failed_sign_ins": AccessFailureLog.objects.filter(attempt_time__lt=old),
        "sign_ins": AccessLog.objects.filter(attempt_time__lt=old),
    }
    return {name: rows.delete()[0] for name, rows in leftovers.items()}


logger = logging.getLogger(__name__)


@shared_task(ignore_result=True)
def check_status() -> list[str]:
    """Run the status check and leave every operator a note on new problems; return all problems."""
    found, new = status.run_check()
    for problem in found.problems:
        logger.warning("problem_found", extra={"problem": problem, "is_new": problem in new})
    operators = CustomUser.objects.filter(is_superuser=True, is_active=True) if new else []
    Notification.objects.bulk_create(
        Notification(user=operator, message=found.explanations[problem])
        for operator in operators
        for problem in sorted(new)
    )
    return found.problems


CLEAN_UPS: Mapping[str, Callable[[], object]] = {
    "bodies": bodies.prune_bodies,  # makes room for the next days too
    "expired": delete_expired,
    "runs": run_endings.prune,
    "missed_deliveries": scan.prune,
    "refreshes": refresh.prune,
    "messages": lambda: MailMessage.objects.prune() + WebhookMessage.objects.prune(),
}


@shared_task(ignore_result=True)
def clean_up() -> None:
    """Delete what expired or no longer matters: each kind, also where another fails; beat runs it every hour."""
    errors = run_each(CLEAN_UPS.items())
    if errors:
        raise ExceptionGroup("Some clean-ups failed.", errors)

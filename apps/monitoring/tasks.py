"""Looking after the instance while nobody does."""

import logging
from datetime import timedelta

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from celery import shared_task
from django.contrib.sessions.models import Session
from django.db.models.functions import Now

from apps.monitoring import status
from apps.notifications.models import Notification
from apps.users.models import ApiToken, CustomUser
from apps.webhooks.models import WebhookSecret

KEPT_FOR = timedelta(days=30)
"""Until then the admin still shows whose a token was, and which secret an old delivery was signed with."""
SIGN_INS_KEPT_FOR = timedelta(days=90)


def delete_expired() -> dict[str, int]:
    """Delete what ended long enough ago; how many of each."""
    ended, old = Now() - KEPT_FOR, Now() - SIGN_INS_KEPT_FOR
    leftovers = {
        "api_tokens": ApiToken.objects.filter(expires_at__lt=ended),
        "webhook_secrets": WebhookSecret.objects.filter(not_after__lt=ended),
        "sessions": Session.objects.filter(expire_date__lt=Now()),
        "sign_in_attempts": AccessAttempt.objects.filter(attempt_time__lt=old),
        "failed_sign_ins": AccessFailureLog.objects.filter(attempt_time__lt=old),
        "sign_ins": AccessLog.objects.filter(attempt_time__lt=old),
    }
    return {name: rows.delete()[0] for name, rows in leftovers.items()}


logger = logging.getLogger(__name__)


@shared_task(ignore_result=True)
def check_status() -> list[str]:
    """Look for problems and tell every operator of those that are new; the problems there are, by their words."""
    found, new = status.check()
    for problem in found.problems:
        logger.warning("problem_found", extra={"problem": problem, "is_new": problem in new})
    operators = CustomUser.objects.filter(is_superuser=True, is_active=True) if new else []
    Notification.objects.bulk_create(
        Notification(user=operator, message=found.explanations[problem])
        for operator in operators
        for problem in sorted(new)
    )
    return found.problems


@shared_task(ignore_result=True)
def clean_up() -> dict[str, int]:
    """Delete tokens, secrets, sessions and records of sign-ins that ended long ago; beat runs it every day."""
    return delete_expired()

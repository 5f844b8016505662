"""Looking after the instance while nobody does."""

import logging

from celery import shared_task

from apps.monitoring import cleaning, status
from apps.notifications.models import Notification
from apps.users.models import CustomUser

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
    return cleaning.clean_up()

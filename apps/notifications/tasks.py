"""Telling people things, outside the request."""

import logging
import smtplib
from typing import Any

from celery import shared_task

from apps.notifications.mail import send_rendered
from apps.notifications.models import Notification
from apps.users.models import CustomUser

logger = logging.getLogger(__name__)


@shared_task(ignore_result=True)
def send_notification(user_id: int, message: str) -> int | None:
    """Leave a note for the user; its id, or None when there is no such active user any more."""
    user = _recipient(user_id)
    return Notification.objects.create(user=user, message=message).pk if user else None


@shared_task(
    ignore_result=True,
    autoretry_for=(smtplib.SMTPServerDisconnected, smtplib.SMTPConnectError, ConnectionError, TimeoutError),
    retry_backoff=5,
    retry_backoff_max=60,
    retry_jitter=True,
    max_retries=5,
)
def send_email(user_id: int, template: str, context: dict[str, Any]) -> bool:
    """Send the user an e-mail made from a template; whether one was handed to the server."""
    user = _recipient(user_id)
    return user is not None and send_rendered(user=user, template=template, context=context)


def _recipient(user_id: int) -> CustomUser | None:
    user = CustomUser.objects.filter(pk=user_id, is_active=True).first()
    if user is None:
        logger.info("recipient_is_gone", extra={"user_id": user_id})
    return user

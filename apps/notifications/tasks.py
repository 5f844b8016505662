"""Tasks that send notes and e-mail."""

import logging
import re
import smtplib
from collections.abc import Mapping
from typing import Any

from celery import shared_task
from django.core.mail import send_mail
from django.template.loader import render_to_string

from apps.notifications.mail_job import is_permanent
from apps.notifications.models import Notification
from apps.users.models import CustomUser

TEMPLATE_NAME = re.compile(r"[a-z][a-z0-9_]*")


def send_rendered(*, user: CustomUser, template: str, context: Mapping[str, Any]) -> bool:
    """Send `notifications/<template>.subject.txt` and `.body.txt`; return False for a user without address."""
    return bool(user.email) and send_text(user.email, template=template, context={**context, "user": user})


def send_text(address: str, *, template: str, context: Mapping[str, Any]) -> bool:
    """Send `notifications/<template>.subject.txt` and `.body.txt` to an address; return whether it was accepted."""
    if not TEMPLATE_NAME.fullmatch(template):
        raise ValueError(f"{template!r} is not a template name (lower-case letters, digits and underscores).")
    subject = " ".join(render_to_string(f"notifications/{template}.subject.txt", context).split())
    body = render_to_string(f"notifications/{template}.body.txt", context)
    return send_mail(subject, body, from_email=None, recipient_list=[address]) == 1


logger = logging.getLogger(__name__)


@shared_task(ignore_result=True)
def send_notification(user_id: int, message: str) -> int | None:
    """Leave a note to the user; return its id, or None if there is no such active user."""
    user = _recipient(user_id)
    return Notification.objects.create(user=user, message=message).pk if user else None


REFUSALS = (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError)


class PutOffError(Exception):
    """The mail server did not take the mail, and says that it may later."""


@shared_task(
    ignore_result=True,
    autoretry_for=(
        smtplib.SMTPServerDisconnected,
        smtplib.SMTPConnectError,
        ConnectionError,
        TimeoutError,
        PutOffError,
    ),
    retry_backoff=5,
    retry_backoff_max=60,
    retry_jitter=True,
    max_retries=5,
)
def send_email(user_id: int, template: str, context: dict[str, Any]) -> bool:
    """Send the user an e-mail rendered from a template; return whether the server accepted it."""
    user = _recipient(user_id)
    try:
        return user is not None and send_rendered(user=user, template=template, context=context)
    except REFUSALS as error:
        if is_permanent(error):
            raise
        raise PutOffError(type(error).__name__) from error


def _recipient(user_id: int) -> CustomUser | None:
    user = CustomUser.objects.filter(pk=user_id, is_active=True).first()
    if user is None:
        logger.info("recipient_is_gone", extra={"user_id": user_id})
    return user

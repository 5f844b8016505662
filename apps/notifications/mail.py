"""E-mail: a subject and a plain text, both templates under notifications/."""

import re
from collections.abc import Mapping
from typing import Any

from django.core.mail import send_mail
from django.template.loader import render_to_string

from apps.users.models import CustomUser

TEMPLATE_NAME = re.compile(r"[a-z][a-z0-9_]*")


def send_rendered(*, user: CustomUser, template: str, context: Mapping[str, Any]) -> bool:
    """Render `notifications/<template>.subject.txt` and `.body.txt` and send them; False for a user without address."""
    if not TEMPLATE_NAME.fullmatch(template):
        raise ValueError(f"{template!r} is not the name of a template: lower case letters, digits and underscores.")
    if not user.email:
        return False
    words = {**context, "user": user}
    subject = " ".join(render_to_string(f"notifications/{template}.subject.txt", words).split())
    body = render_to_string(f"notifications/{template}.body.txt", words)
    return send_mail(subject, body, from_email=None, recipient_list=[user.email]) == 1

"""A forgotten password: who asks with the address of an account is sent a link, where mail can be sent."""

from functools import partial
from typing import Any

from allauth.account.forms import ResetPasswordForm
from allauth.core.exceptions import ImmediateHttpResponse
from celery import current_app
from django.http import HttpRequest
from django.shortcuts import render

from apps.jobs import wakeups
from apps.users.models import CustomUser

EMAIL_TASK, TEMPLATE = "apps.notifications.tasks.send_email", "password_reset"
MOST_ACCOUNTS = 5
"""So many accounts with one address get a link."""
NOBODY = 0
PAGE = "account/password_reset.html"
UNSENT = "No mail can be sent just now. Try again in a few minutes."


class ResetForm(ResetPasswordForm):  # type: ignore[misc]  # allauth has no types
    """The form of allauth, whose answer and duration do not say whether there is such an account.

    A worker makes the link, so no queue holds it. Accounts without a password, which sign in elsewhere, get none.
    """

    def clean_email(self) -> str:
        """Return the address."""
        return str(self.cleaned_data["email"])

    def save(self, request: HttpRequest, **options: Any) -> str:
        """Have a link sent to each account with the address; a page says so if no worker can be asked to.

        Who has no account gets the same page, since a worker is asked for nobody too.
        """
        email = str(self.cleaned_data["email"])
        found = CustomUser.objects.filter(email__iexact=email, is_active=True).order_by("pk")[:MOST_ACCOUNTS]
        users = [user.pk for user in found if user.has_usable_password()] or [NOBODY]
        sent = wakeups.send(
            partial(current_app.send_task, EMAIL_TASK, args=[user, TEMPLATE, {}], retry=False) for user in users
        )
        if not sent:
            self.add_error(None, UNSENT)
            raise ImmediateHttpResponse(render(request, PAGE, {"form": self}, status=503))
        return email

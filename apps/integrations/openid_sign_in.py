"""Who may sign in with an account elsewhere: GitHub's, or the OpenID provider's."""

from typing import Any

from allauth.account.internal.userkit import filter_users_by_email
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.providers.base import AuthProcess
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.shortcuts import render
from django.urls import reverse

from apps.integrations.github_sign_in import GitHubAccounts
from apps.notifications.invitations import SESSION_KEY, InvitationClosedError, accept, invitation_in
from apps.users.openid import PROVIDER, PROVIDER_ID, openid_app


class Accounts(GitHubAccounts):
    """People who come from GitHub or the OpenID provider; a new one joins the team that they are invited to."""

    def list_apps(self, request: HttpRequest, provider: str | None = None, client_id: str | None = None) -> list[Any]:
        """Return GitHub's app and that of the OpenID provider."""
        apps = super().list_apps(request, provider=provider, client_id=client_id)
        ours = openid_app() if provider in (None, PROVIDER, PROVIDER_ID) else None
        return [*apps, ours] if ours is not None and client_id in (None, ours.client_id) else apps

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Refuse somebody new who is neither invited nor of a domain of OIDC_DOMAINS.

        No account elsewhere is connected to an existing user, by an e-mail address or otherwise.
        """
        if sociallogin.account.provider != PROVIDER_ID:
            super().pre_social_login(request, sociallogin)
            return
        email = verified_email(sociallogin.account.extra_data.get("id_token", {}))
        is_connecting = sociallogin.state.get("process") == AuthProcess.CONNECT
        is_welcome = sociallogin.is_existing or invitation_in(request.session) is not None or is_of_domains(email)
        if is_connecting or not is_welcome:
            context = {"name": settings.OIDC_NAME, "email": email}
            raise ImmediateHttpResponse(render(request, "account/no_account.html", context, status=403))
        if not sociallogin.is_existing:
            is_taken = bool(email) and bool(filter_users_by_email(email))
            sociallogin.user.email, sociallogin.email_addresses = "" if is_taken else email, []

    def save_user(self, request: HttpRequest, sociallogin: Any, form: Any = None) -> Any:
        """Create the user, and use up the invitation whose link they opened."""
        try:
            with transaction.atomic():
                user = super().save_user(request, sociallogin, form)
                if (invitation := invitation_in(request.session)) is not None:
                    accept(invitation, user=user)
                    sociallogin.state["next"] = reverse("front")  # and not back to the invitation
        except InvitationClosedError as error:
            raise ImmediateHttpResponse(render(request, "account/invitation_closed.html", status=404)) from error
        request.session.pop(SESSION_KEY, None)
        return user


def verified_email(claims: Any) -> str:
    """Return the e-mail address if the provider vouches for it, else an empty text."""
    is_verified = claims.get("email_verified") in (True, "true")
    return str(claims.get("email") or "").strip().lower() if is_verified else ""


def is_of_domains(email: str) -> bool:
    """Return whether OIDC_DOMAINS lets everybody of the address's domain in."""
    domain = email.rpartition("@")[2]
    return bool(domain) and domain in {name.lower().lstrip("@") for name in settings.OIDC_DOMAINS}

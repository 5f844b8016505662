"""Who may sign in with GitHub: anybody, or with GITHUB_SIGN_IN_MEMBERS_ONLY the members of organisations with the App.

GitHub is asked at each sign-in: webhooks report members that come and go, and none that were there before.
"""

import enum
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from allauth.account.internal.userkit import filter_users_by_email
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.providers.base import AuthProcess
from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import render

from apps.activity.models import Contributor, Installation
from apps.common.encryption import UndecryptableError
from apps.github.auth import GitHubAccess, github
from apps.github.credentials import NoCredentialsError
from apps.github.rate_limit import Priority, Purpose
from apps.github.responses import ResponseKind
from apps.integrations.access import readable_installations

PURPOSE = Purpose(priority=Priority.LIVE, subject="sign-in")
PATIENCE_S = 15.0
"""No further organisation is asked about after so long; the person may try again."""


class Membership(enum.Enum):
    """Whether a person belongs to an account with the App, by GitHub's words; the value is the status of our answer."""

    YES = 200
    NO = 403
    UNKNOWN = 503


class GitHubAccounts(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """People who come from GitHub. They see nothing here until they are given access to a team."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Return True: pre_social_login has refused everybody else before."""
        return True

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Refuse users who are not members, at every sign-in; no GitHub account is connected to an existing user.

        A new user gets no e-mail address that another user has.
        """
        is_connecting = sociallogin.state.get("process") == AuthProcess.CONNECT
        membership = Membership.NO if is_connecting else membership_of(sociallogin.account.extra_data)
        if membership is not Membership.YES:
            page = render(request, "account/not_a_member.html", {"is_no": membership is Membership.NO})
            page.status_code = membership.value
            raise ImmediateHttpResponse(page)
        email = sociallogin.user.email
        if not sociallogin.is_existing and email and filter_users_by_email(email):
            sociallogin.user.email, sociallogin.email_addresses = "", []


def membership_of(person: Mapping[str, Any]) -> Membership:
    """Return whether the person, as GitHub described them, may come in."""
    if not settings.GITHUB_SIGN_IN_MEMBERS_ONLY:
        return Membership.YES
    try:
        return ask_about(person, access=github())
    except (NoCredentialsError, UndecryptableError):
        return Membership.UNKNOWN


def ask_about(person: Mapping[str, Any], *, access: GitHubAccess) -> Membership:
    """Return YES if one of the accounts with the App says so, else UNKNOWN if one of them did not answer, else NO."""
    given_up_at = time.monotonic() + PATIENCE_S
    found = Membership.NO
    for installation in readable_installations().select_related("account").order_by("pk"):
        said = Membership.UNKNOWN
        if time.monotonic() < given_up_at:
            said = membership_in(installation, person=person, access=access)
        if said is Membership.YES:
            return said
        if said is Membership.UNKNOWN:
            found = said
    return found


def membership_in(installation: Installation, *, person: Mapping[str, Any], access: GitHubAccess) -> Membership:
    account = installation.account
    if account is None or account.kind != Contributor.Kind.ORGANIZATION:
        return Membership.YES if account is not None and account.pk == person["id"] else Membership.NO
    path = f"/orgs/{quote(account.login, safe='')}/memberships/{quote(person['login'], safe='')}"
    answer = access.get(path, installation_id=installation.pk, purpose=PURPOSE)
    if answer.kind is ResponseKind.GONE:
        return Membership.NO
    if answer.kind is not ResponseKind.OK or not isinstance(answer.data, Mapping):
        return Membership.UNKNOWN
    member = answer.data.get("user") or {}
    is_member = answer.data.get("state") == "active" and member.get("id") == person["id"]
    return Membership.YES if is_member else Membership.NO

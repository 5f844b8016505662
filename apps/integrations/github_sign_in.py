"""Who may sign in with GitHub: anybody, or with GITHUB_SIGN_IN_MEMBERS_ONLY the members of organisations with the App.

GitHub is asked at each sign-in: webhooks report members that come and go, and none that were there before.
"""

import enum
import logging
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from allauth.account.internal.userkit import filter_users_by_email
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.base import AuthProcess
from allauth.socialaccount.providers.github.views import GitHubOAuth2Adapter
from django.conf import settings
from django.http import Http404, HttpRequest
from django.shortcuts import render

from apps.activity.models import Contributor, Installation
from apps.common.encryption import UndecryptableError
from apps.github.auth import GitHubAccess, github
from apps.github.credentials import NoCredentialsError, sign_in_client
from apps.github.rate_limit import Priority, Purpose
from apps.github.responses import ResponseKind
from apps.integrations.readable_installations import readable_installations

PROVIDER = "github"
PURPOSE = Purpose(priority=Priority.LIVE, subject="sign-in")
PATIENCE_S = 15.0
"""No further organisation is asked about after so long; the person may try again."""
logger = logging.getLogger(__name__)


def use_our_api() -> None:
    """Let allauth read profiles from GITHUB_API_URL; the URL that it derives is one of Enterprise Server's alone."""
    GitHubOAuth2Adapter.profile_url = f"{settings.GITHUB_API_URL}/user"
    GitHubOAuth2Adapter.emails_url = f"{settings.GITHUB_API_URL}/user/emails"


class Membership(enum.Enum):
    """Whether a person belongs to an account with the App, by GitHub's words; the value is the status of our answer."""

    YES = 200
    NO = 403
    UNKNOWN = 503


class GitHubAccounts(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """People who come from GitHub. They see nothing here until they are given access to a team."""

    def list_apps(self, request: HttpRequest, provider: str | None = None, client_id: str | None = None) -> list[Any]:
        """Return allauth's apps and the App in use, which may have been stored while this process runs."""
        apps: list[Any] = super().list_apps(request, provider=provider, client_id=client_id)
        if provider not in (None, PROVIDER):
            return apps
        ours = github_app()
        return [*apps, ours] if ours is not None and client_id in (None, ours.client_id) else apps

    def get_app(self, request: HttpRequest, provider: str, client_id: str | None = None) -> Any:
        """Return the provider's app; 404 if there is none."""
        try:
            return super().get_app(request, provider=provider, client_id=client_id)
        except SocialApp.DoesNotExist as error:
            raise Http404(f"Nobody signs in with {provider} here.") from error

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


def github_app() -> Any:
    """Return the App as allauth knows one, or None while nobody can sign in with it."""
    try:
        client = sign_in_client()
    except UndecryptableError:
        logger.error("client_secret_undecryptable")  # noqa: TRY400  the trace has nothing of use
        return None
    if client is None:
        return None
    return SocialApp(provider=PROVIDER, name="GitHub", client_id=client.client_id, secret=client.client_secret)


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

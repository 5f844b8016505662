"""Who may open an account."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.http import HttpRequest


class InvitedOnly(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """With a password: nobody, an operator makes such accounts."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Never."""
        return False


class AnybodyOnGitHub(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """By GitHub, where an operator has set that up: anybody, and sees nothing until made a member of a team."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Always."""
        return True

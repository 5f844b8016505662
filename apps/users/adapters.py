"""Sign-up with a password, which is closed; see apps/integrations/github_sign_in.py for sign-up with GitHub."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class ClosedSignUp(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Operators create accounts with a password; users cannot."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return False."""
        return False

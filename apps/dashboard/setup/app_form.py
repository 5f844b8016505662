"""The form that describes the App to be created."""

import re
import secrets
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.conf import settings

from apps.common.encryption import can_encrypt
from apps.common.github_host import LOOPBACK
from apps.github.registration import LONGEST_NAME, Manifest, webhook_url
from apps.monitoring.setup_checklist import is_on_this_machine

LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}")
SMEE = "https://smee.io"
PERSONAL, ORGANIZATION = "personal", "organization"


class AppForm(forms.Form):
    """Where the App belongs, its name, and where GitHub posts to."""

    owner = forms.ChoiceField(
        choices=[(ORGANIZATION, "an organisation"), (PERSONAL, "my own account")], initial=ORGANIZATION
    )
    organization = forms.CharField(required=False, max_length=39)
    name = forms.CharField(max_length=LONGEST_NAME)
    webhook_url = forms.CharField(max_length=500)
    is_public = forms.BooleanField(required=False)

    @classmethod
    def suggested(cls) -> "AppForm":
        """Return the form with what fits most; for a laptop with a channel that nobody else can guess."""
        channel = f"{SMEE}/{secrets.token_urlsafe(12)}"
        address = channel if is_on_this_machine() and not is_github_here() else webhook_url()
        return cls(initial={"owner": ORGANIZATION, "name": suggested_name(), "webhook_url": address})

    def clean_webhook_url(self) -> str:
        """Reject an address that GitHub does not take."""
        url: str = self.cleaned_data["webhook_url"]
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
            raise forms.ValidationError("This is not an address like https://tformance.example.com/webhooks/github/.")
        if parts.hostname in LOOPBACK and not is_github_here():
            raise forms.ValidationError(
                "GitHub cannot reach this machine under that name: use a smee channel or a tunnel."
            )
        return url

    def clean(self) -> dict[str, Any]:
        """Reject an organisation without a login, and a setup that cannot keep secrets."""
        given: dict[str, Any] = super().clean() or {}
        if given.get("owner") == ORGANIZATION and not LOGIN.fullmatch(given.get("organization", "").strip()):
            self.add_error("organization", "Give the organisation's name as in its address: github.com/NAME.")
        if not can_encrypt():
            raise forms.ValidationError("Secrets cannot be stored: set FERNET_KEYS and restart every process.")
        return given

    def manifest(self) -> Manifest:
        """Return the manifest of the valid form."""
        given = self.cleaned_data
        return Manifest(
            name=given["name"],
            organization=given["organization"].strip() if given["owner"] == ORGANIZATION else "",
            webhook_url=given["webhook_url"],
            is_public=given["is_public"],
        )


def is_github_here() -> bool:
    """Return whether GitHub itself is on this machine, as in tests."""
    return urlsplit(settings.GITHUB_URL).hostname in LOOPBACK


def suggested_name() -> str:
    """Return a name that is probably free: names of Apps are unique on GitHub."""
    known = settings.PUBLIC_HOST.replace(".", "-") if not is_on_this_machine() else secrets.token_hex(3)
    return f"tformance {known}"[:LONGEST_NAME].rstrip("-")

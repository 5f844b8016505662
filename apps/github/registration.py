"""Registration of the App from a manifest: what GitHub is asked to create, and the code that brings its secrets.

https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from apps.common.encryption import can_encrypt, encrypt
from apps.github.auth import GitHubAccess
from apps.github.credentials import is_signing_key, store_private_key
from apps.github.models import AppRegistration
from apps.github.permissions import PERMISSIONS, needed_events
from apps.github.rate_limit import Priority, Purpose
from apps.github.responses import Answer, ResponseKind
from apps.webhooks.signature import is_strong, store_secret

PURPOSE = Purpose(priority=Priority.LIVE, subject="registration")
LONGEST_NAME = 34
"""GitHub takes no longer name of an App."""
NEEDED = {"id": int, "html_url": str, "client_id": str, "client_secret": str, "pem": str}
LIMITED = {ResponseKind.PRIMARY, ResponseKind.SECONDARY, ResponseKind.DEFERRED}
MAY_RETRY = LIMITED | {ResponseKind.TRANSIENT}
START_AGAIN = "Start again. If GitHub now lists an unused App, delete it there."


class RegistrationError(Exception):
    """The App could not be registered; the message says why and what to do. The code may be tried once more or not."""

    def __init__(self, message: str, *, may_retry: bool = False) -> None:
        super().__init__(message)
        self.may_retry = may_retry


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What GitHub is asked to create; `organization` is empty for a personal account."""

    name: str
    organization: str
    webhook_url: str
    is_public: bool = False

    def url(self, *, state: str = "") -> str:
        """Return the page of GitHub that the manifest is posted to."""
        owner = f"/organizations/{quote(self.organization, safe='')}" if self.organization else ""
        query = f"?{urlencode({'state': state})}" if state else ""
        return f"{settings.GITHUB_URL}{owner}/settings/apps/new{query}"

    def document(self) -> dict[str, Any]:
        """Return the manifest, with what tformance needs and nothing else."""
        return {
            "name": self.name,
            "url": settings.PUBLIC_URL,
            "description": "Team figures from webhooks, by tformance.",
            "public": self.is_public,
            "hook_attributes": {"url": self.webhook_url, "active": True},
            "redirect_url": f"{settings.PUBLIC_URL}{reverse('app-registered')}",
            "callback_urls": [f"{settings.PUBLIC_URL}{reverse('github_callback')}"],
            "setup_url": f"{settings.PUBLIC_URL}{reverse('setup')}",
            "request_oauth_on_install": False,
            "default_permissions": dict(PERMISSIONS),
            "default_events": sorted(needed_events()),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredApp:
    """What GitHub says of the new App, once."""

    app_id: int
    slug: str
    name: str
    html_url: str
    owner: str
    client_id: str
    client_secret: str = field(repr=False)
    pem: str = field(repr=False)
    webhook_secret: str = field(repr=False)


def register(code: str, *, access: GitHubAccess, webhook_url: str = "") -> AppRegistration:
    """Exchange the code for the new App and store all of it, encrypted; RegistrationError otherwise.

    GitHub takes each code once, within an hour. `webhook_url` is that of the manifest, which GitHub does not repeat.
    """
    if not can_encrypt():  # before GitHub gives its only answer
        raise RegistrationError("Secrets cannot be stored: set FERNET_KEYS, restart, and start again.")
    path = f"/app-manifests/{quote(code, safe='')}/conversions"
    answer = access.post_without_token(path, purpose=PURPOSE)
    if answer.kind is not ResponseKind.OK:
        raise RegistrationError(explain_refusal(answer), may_retry=answer.kind in MAY_RETRY)
    return store(read_app(answer.data), webhook_url=webhook_url)


def explain_refusal(answer: Answer) -> str:
    """Return why GitHub gives no App for the code, and what to do."""
    if answer.kind is ResponseKind.GONE:
        return "GitHub does not know this code: each is good once and for one hour. Start again."
    if answer.kind in LIMITED:
        return "GitHub takes no more requests from this address at the moment. Reload this page in an hour."
    if answer.kind is ResponseKind.TRANSIENT:
        return f"GitHub gave no usable answer ({answer.message}). Reload this page to try once more."
    return f"GitHub refused: {answer.message}. {START_AGAIN}"


def read_app(data: Any) -> RegisteredApp:
    """Return the App of GitHub's answer; RegistrationError if something that is needed is missing."""
    given = data if isinstance(data, Mapping) else {}
    lacks = [name for name, kind in NEEDED.items() if not (isinstance(given.get(name), kind) and given[name])]
    if lacks:
        raise RegistrationError(f"GitHub's answer lacks {', '.join(lacks)}. {START_AGAIN}")
    if not is_signing_key(given["pem"]):
        raise RegistrationError(f"The private key in GitHub's answer cannot be read. {START_AGAIN}")
    owner, secret = given.get("owner"), given.get("webhook_secret")
    slug = str(given.get("slug") or given["html_url"].rstrip("/").rpartition("/")[2])
    return RegisteredApp(
        app_id=given["id"],
        slug=slug,
        name=str(given.get("name") or slug),
        html_url=given["html_url"],
        owner=str(owner.get("login") or "") if isinstance(owner, Mapping) else "",
        client_id=given["client_id"],
        client_secret=given["client_secret"],
        pem=given["pem"],
        webhook_secret=secret if isinstance(secret, str) and is_strong(secret) else "",
    )


@transaction.atomic
def store(app: RegisteredApp, *, webhook_url: str) -> AppRegistration:
    """Store the App in place of the one before; of the webhook secrets, earlier ones stay active."""
    store_private_key(app.pem, app_id=app.app_id)
    if app.webhook_secret:
        store_secret(app.webhook_secret, label=f"App {app.slug}")
    registered, _ = AppRegistration.objects.update_or_create(
        app_id=app.app_id,
        defaults={
            "slug": app.slug,
            "name": app.name,
            "html_url": app.html_url,
            "owner": app.owner,
            "webhook_url": webhook_url,
            "client_id": app.client_id,
            "encrypted_client_secret": encrypt(app.client_secret),
            "registered_at": timezone.now(),
        },
    )
    return registered


def settings_url(registered: AppRegistration | None, *, is_of_organization: bool) -> str:
    """Return the page of the App's settings on GitHub; of an App that was not registered here, the list of Apps."""
    if registered is None:
        return f"{settings.GITHUB_URL}/settings/apps"
    owner = f"/organizations/{quote(registered.owner, safe='')}" if is_of_organization else ""
    return f"{settings.GITHUB_URL}{owner}/settings/apps/{quote(registered.slug, safe='')}/advanced"


def webhook_url() -> str:
    """Return the address that GitHub posts to, if nothing stands between."""
    return f"{settings.PUBLIC_URL}{reverse('webhooks:github')}"


def installation_url(slug: str) -> str:
    """Return the page of GitHub on which the App is installed on an account."""
    return f"{settings.GITHUB_URL}/apps/{quote(slug, safe='')}/installations/new"

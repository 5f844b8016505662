"""What must be right before GitHub's API is read, each with an id."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004  Django's name
from django.db import DatabaseError

from apps.common.encryption import UndecryptableError, can_encrypt, decrypt
from apps.common.github_host import GitHubHost, Kind
from apps.github.credentials import is_signing_key
from apps.github.models import AppPrivateKey


@register(Tags.security)
def check_api_url(app_configs: Any, **_: Any) -> Iterable[CheckMessage]:
    """Refuse an address under which every call would be a 404: each kind of GitHub has its API elsewhere."""
    github = GitHubHost(settings.GITHUB_API_URL)
    if github.is_possible:
        return
    kind = Kind.TENANT if github.kind is Kind.TENANT else Kind.SERVER
    yield Error(
        f"GITHUB_API_URL: no GitHub has its API at {settings.GITHUB_API_URL}.",
        hint=f"For {kind.value}: {github.likely_api_url}",
        id="integrations.E001",
    )


@register(Tags.security)
def check_private_key(app_configs: Any, **_: Any) -> Iterable[CheckMessage]:
    """Check the private key: one cut short on its way into the environment would fail only at the first API call."""
    if settings.GITHUB_APP_PRIVATE_KEY and not is_signing_key(settings.GITHUB_APP_PRIVATE_KEY):
        yield Error(
            "GITHUB_APP_PRIVATE_KEY is not an RSA private key in PEM.",
            hint="Give the .pem that GitHub made, whole, or its path in GITHUB_APP_PRIVATE_KEY_FILE.",
            id="tformance.E001",  # of the environment's settings, as those are
        )


@register(Tags.security)
def check_tokens_can_be_shared(app_configs: Any, **_: Any) -> Iterable[CheckMessage]:
    """Installation tokens are shared between workers only encrypted."""
    if settings.GITHUB_APP_ID and not can_encrypt():
        yield Warning(
            "FERNET_KEYS is empty: each worker makes installation tokens of its own.",
            hint="Set it to one or more Fernet keys, the newest first, separated by commas.",
            id="integrations.W001",
        )


@register(Tags.database)
def check_stored_key(app_configs: Any, databases: Sequence[str] | None = None, **_: Any) -> Iterable[CheckMessage]:
    """With `check --database default`: the stored private key can be read."""
    if not databases:
        return
    try:
        stored = AppPrivateKey.objects.first()
    except DatabaseError:
        return  # before the first migration there is no table
    if stored is None:
        return
    try:
        decrypt(stored.encrypted_pem)
    except UndecryptableError:
        yield Error(
            f"The stored {stored} is under none of FERNET_KEYS.",
            hint="Put the key it was stored under back into FERNET_KEYS, or run `manage.py store_private_key` again.",
            id="integrations.E002",
        )

"""System checks of the webhook settings."""

from collections.abc import Iterable
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004  Django's name

from apps.webhooks.signature import SHORTEST_SECRET, is_strong


@register(Tags.security)
def check_secrets(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    """Refuse a weak secret; warn where the environment has none."""
    weak = [place for place, value in enumerate(settings.GITHUB_WEBHOOK_SECRETS, start=1) if not is_strong(value)]
    for place in weak:
        yield Error(
            f"GITHUB_WEBHOOK_SECRETS: secret {place} is too weak and is not used.",
            hint=f"Use at least {SHORTEST_SECRET} random characters, such as from `openssl rand -hex 32`.",
            id="webhooks.E001",
        )
    if not settings.GITHUB_WEBHOOK_SECRETS:
        yield Warning(
            "GITHUB_WEBHOOK_SECRETS is empty: webhooks are answered with 503 unless a secret is stored in the admin.",
            hint="Set it to the webhook secret of the GitHub App; separate several by commas, the newest first.",
            id="webhooks.W001",
        )


@register(Tags.security)
def check_encryption_keys(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    """Reject a malformed key; warn if secrets cannot be stored."""
    for place, key in enumerate(settings.FERNET_KEYS, start=1):
        try:
            Fernet(key)
        except ValueError:
            yield Error(
                f"FERNET_KEYS: key {place} is not a Fernet key.",
                hint="A key is 32 random bytes in URL-safe base64, as from cryptography.fernet.Fernet.generate_key().",
                id="webhooks.E002",
            )
    if not settings.FERNET_KEYS:
        yield Warning(
            "FERNET_KEYS is empty: no secrets can be stored in the database.",
            hint="Set it to a Fernet key; separate several by commas, the newest first.",
            id="webhooks.W002",
        )

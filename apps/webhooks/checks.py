"""What must be right before the door opens, each with an id."""

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
            f"GITHUB_WEBHOOK_SECRETS: number {place} is weak, and nothing it signs is accepted.",
            hint=f"Use {SHORTEST_SECRET} random characters or more, such as `openssl rand -hex 32`.",
            id="webhooks.E001",
        )
    if not settings.GITHUB_WEBHOOK_SECRETS:
        yield Warning(
            "GITHUB_WEBHOOK_SECRETS is empty: the door answers 503 unless the admin holds a secret.",
            hint="Set it to the webhook secret of the GitHub App, the newest first, separated by commas.",
            id="webhooks.W001",
        )


@register(Tags.security)
def check_encryption_keys(app_configs: Any, **kwargs: Any) -> Iterable[CheckMessage]:
    """Refuse a malformed key; warn where stored secrets cannot be."""
    for place, key in enumerate(settings.FERNET_KEYS, start=1):
        try:
            Fernet(key)
        except ValueError:
            yield Error(
                f"FERNET_KEYS: number {place} is not a Fernet key.",
                hint="A key is 32 random bytes in URL-safe base64, as cryptography.fernet.Fernet.generate_key() makes.",
                id="webhooks.E002",
            )
    if not settings.FERNET_KEYS:
        yield Warning(
            "FERNET_KEYS is empty: no webhook secret can be kept in the admin.",
            hint="Set it to one or more Fernet keys, the newest first, separated by commas.",
            id="webhooks.W002",
        )

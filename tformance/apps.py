"""The project as an app: its system checks. `migrate` stops if one fails."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004  Django's name

from tformance.settings_files import warnings_of_settings_files


class TformanceConfig(AppConfig):
    name = "tformance"


@register(Tags.security)
def github_settings_come_in_pairs(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Check that settings that belong together are set together."""
    pairs = {
        ("GITHUB_APP_ID", "GITHUB_APP_PRIVATE_KEY"): (settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY),
        ("GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET"): (settings.GITHUB_CLIENT_ID, settings.GITHUB_CLIENT_SECRET),
    }
    return [
        Error(f"Set both or neither of {names[0]} and {names[1]}.", id="tformance.E002")
        for names, values in pairs.items()
        if bool(values[0]) != bool(values[1])
    ]


@register(Tags.security)
def settings_files_are_in_order(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Check that files with secrets are private, and that their settings are known."""
    return [Warning(words, id="tformance.W002") for words in warnings_of_settings_files(settings.KNOWN_SETTINGS)]


@register(Tags.security, deploy=True)
def mail_goes_somewhere(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Warn if e-mail has no server."""
    if settings.EMAIL_BACKEND != "django.core.mail.backends.dummy.EmailBackend":
        return []
    return [
        Warning(
            "EMAIL_URL is not set: e-mail goes nowhere.",
            hint="submission://user:password@host:587",
            id="tformance.W001",
        )
    ]

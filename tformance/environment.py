"""Reading the environment: what it does not say, TFORMANCE_VAR remembers; an empty variable is one that is not set."""

import ipaddress
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.checks.security.base import (
    SECRET_KEY_INSECURE_PREFIX,
    SECRET_KEY_MIN_LENGTH,
    SECRET_KEY_MIN_UNIQUE_CHARACTERS,
)
from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvError, EnvNotSetError, ValidationError

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class SettingsError(ImproperlyConfigured):
    """The environment does not describe a tformance that can run; the message says which variable and what to do."""


@contextmanager
def settings_errors_in_one_line() -> Iterator[None]:
    """End the process with one line where the settings are at fault: a traceback would hide it."""
    try:
        yield
    except ImproperlyConfigured as error:
        sys.exit(f"error: {error}")


class Environment(Env):
    """The environment, completed by what was made for a checkout (`make run` writes it to TFORMANCE_VAR)."""

    def __init__(self, remembered: dict[str, str]) -> None:
        super().__init__()
        self._remembered = remembered

    def _get_value(self, env_key: str, default: Any) -> Any:
        # Compose files pass variables on as NAME=${NAME:-}: set, and empty.
        return os.environ.get(env_key) or self._remembered.get(env_key) or default


def absolute_url(value: str) -> None:
    """Refuse what is not http(s)://host."""
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValidationError(f"{value!r} is not an address like https://tformance.example.com")


def github_url(value: str) -> None:
    """Refuse an address that would send tokens in the clear: https, or http on loopback."""
    absolute_url(value)
    parts = urlsplit(value)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise ValidationError(f"{value!r} must use https (plain http is for loopback only)")


def network(value: str) -> None:
    """Refuse what is neither an address nor a network."""
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError as error:
        raise ValidationError(f"{value!r} is neither an IP address nor a network like 10.0.0.0/8") from error


def networks(values: list[str]) -> None:
    """Refuse a list with something in it that is not a network."""
    for value in values:
        network(value)


def strong_key(value: str) -> None:
    """Refuse a key that Django calls weak: sessions and links for a new password are signed with it."""
    too_simple = len(set(value)) < SECRET_KEY_MIN_UNIQUE_CHARACTERS
    if len(value) < SECRET_KEY_MIN_LENGTH or too_simple or value.startswith(SECRET_KEY_INSECURE_PREFIX):
        raise ValidationError(
            f"it is weak. Use {SECRET_KEY_MIN_LENGTH} random characters or more, such as `openssl rand -hex 32` makes"
        )


def postgres(env: Env) -> dict[str, Any]:
    """Django's settings for the database from DATABASE_URL, which names a PostgreSQL."""
    parsed: dict[str, Any] = env.dj_db_url("DATABASE_URL")
    if parsed.get("ENGINE") != "django.db.backends.postgresql":
        raise SettingsError(
            "DATABASE_URL names no PostgreSQL, and no other database will do. "
            "Use postgres://user:password@host:5432/name."
        )
    return parsed


def webhook_secrets(env: Env) -> list[str]:
    """The webhook secrets; SettingsError where they are given under the name that is easily mistaken for theirs."""
    if env.str("GITHUB_WEBHOOK_SECRET", ""):
        raise SettingsError(
            "GITHUB_WEBHOOK_SECRET is not read. The setting is GITHUB_WEBHOOK_SECRETS, in the plural: one secret, "
            "or several separated by commas."
        )
    found: list[str] = env.list("GITHUB_WEBHOOK_SECRETS", [])
    return found


def private_key(env: Env) -> str:
    """The App's private key in PEM, from the variable or the file it names; empty when neither is given."""
    given: str = env.str("GITHUB_APP_PRIVATE_KEY", "")
    path: str = env.str("GITHUB_APP_PRIVATE_KEY_FILE", "")
    if given and path:
        raise SettingsError("Set GITHUB_APP_PRIVATE_KEY or GITHUB_APP_PRIVATE_KEY_FILE, not both.")
    if not path:
        return given.replace("\\n", "\n")  # how a PEM survives in an env file
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SettingsError(f"GITHUB_APP_PRIVATE_KEY_FILE: {path} cannot be read ({reason}).") from error


def email(env: Env, *, default: str) -> dict[str, Any]:
    """Django's EMAIL_* settings from EMAIL_URL."""
    parsed: dict[str, Any] = env.dj_email_url("EMAIL_URL", default)
    if "EMAIL_BACKEND" not in parsed:
        raise SettingsError("EMAIL_URL names no kind of server we know. Use submission://user:password@host:587.")
    return parsed


def explain(error: EnvError) -> SettingsError:
    """The error in words for the person who starts us."""
    words = (
        str(error)
        .removeprefix("Environment variable ")
        .replace('"', "", 2)
        .replace("['", "")
        .replace("']", "")
        .rstrip(".")
    )
    if isinstance(error, EnvNotSetError):
        return SettingsError(
            f"{words.replace(' not set', ' is not set')}. On one machine `make run` makes and remembers it; "
            "elsewhere set it in the environment. docs/operations.md explains every variable."
        )
    problem = words.replace(" invalid: ", " is invalid: ")
    return SettingsError(f"{problem}. docs/operations.md explains every variable.")

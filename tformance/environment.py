"""Reading the environment: what it does not say, TFORMANCE_VAR remembers; an empty variable is one that is not set."""

import ipaddress
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvError, EnvNotSetError, ValidationError

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class SettingsError(ImproperlyConfigured):
    """The environment does not describe a tformance that can run; the message says which variable and what to do."""


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
    except OSError as error:
        raise SettingsError(f"GITHUB_APP_PRIVATE_KEY_FILE: {path} cannot be read ({error.strerror}).") from error


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

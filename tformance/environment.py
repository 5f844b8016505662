"""Settings from the environment and TFORMANCE_VAR; an empty variable counts as not set."""

import ipaddress
import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.core.checks.security.base import (
    SECRET_KEY_INSECURE_PREFIX,
    SECRET_KEY_MIN_LENGTH,
    SECRET_KEY_MIN_UNIQUE_CHARACTERS,
)
from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvError, EnvNotSetError, EnvValidationError, ValidationError

from tformance.settings_files import place_of

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
UNREADABLE_ADDRESS = "it is no address; write special characters of a password as %XX (@ is %40, / is %2F)"

# Milliseconds. A web request that waits longer has lost its client; a worker's task has 45 s; a person at the command
# line and a migration may take as long as they need.
SESSION_TIMEOUTS = {
    "web": {"statement_timeout": 3_000, "lock_timeout": 2_000, "idle_in_transaction_session_timeout": 10_000},
    "worker": {"statement_timeout": 30_000, "lock_timeout": 10_000, "idle_in_transaction_session_timeout": 60_000},
}
SESSION_TIMEOUTS["beat"] = SESSION_TIMEOUTS["worker"]

# A statement of figures takes as long to plan as to run, so web plans each once for a connection.
PLANS: dict[str, dict[str, str]] = {"web": {"plan_cache_mode": "force_generic_plan"}}

# Seconds. A new connection of web has no plans yet. An idle one is closed with its thread, after as long.
CONNECTION_AGES = {"web": 600}

# A server that has gone without a word is noticed within seconds, not after the kernel's two hours.
NETWORK_TIMEOUTS = {
    "connect_timeout": 2,
    "tcp_user_timeout": 5_000,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
}

MISTAKES: dict[str, str] = {}
"""Invalid settings that this process runs without, and what is wrong with each."""
STAND_INS = {
    "SECRET_KEY": secrets.token_hex(32),
    "DATABASE_URL": "postgres://not-set.invalid/none",
    "REDIS_URL": "redis://not-set.invalid/0",
}
"""The placeholder of a required setting that this process runs without."""


class SettingsError(ImproperlyConfigured):
    """The settings are invalid; the message names the setting and what to do."""

    def __init__(self, message: str, *, name: str = "") -> None:
        super().__init__(message)
        self.name = name


def refuse(name: str, words: str) -> SettingsError:
    """Return the error of a setting, with the file that it comes from."""
    place = place_of(name)
    comes_from = f" It comes from {place}." if place else ""
    return SettingsError(f"{name} {words}.{comes_from} docs/operations.md explains every setting.", name=name)


@contextmanager
def settings_errors_in_one_line() -> Iterator[None]:
    """End the process with one line instead of a traceback if settings are invalid."""
    try:
        yield
    except ImproperlyConfigured as error:
        sys.exit(f"error: {error}")


class Environment(Env):
    """Return the environment with the local settings of a checkout (`make run` writes them to TFORMANCE_VAR)."""

    def __init__(self, local_settings: dict[str, str]) -> None:
        super().__init__()
        self._local_settings = local_settings
        self.known: set[str] = set()

    def _get_value(self, env_key: str, default: Any) -> Any:
        self.known.add(env_key)
        if env_key in MISTAKES:
            return STAND_INS.get(env_key, default)
        # Compose files pass variables on as NAME=${NAME:-}, which sets them to nothing.
        return os.environ.get(env_key) or self._local_settings.get(env_key) or default


def absolute_url(value: str) -> None:
    """Require http(s)://host without user and password, because the URL is shown to people."""
    parts = _split(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValidationError("it is not an address like https://tformance.example.com")
    if "@" in parts.netloc:
        raise ValidationError("it holds a user or a password; leave them out")


def github_url(value: str) -> None:
    """Require https, or http on loopback, because the URL is used with tokens."""
    absolute_url(value)
    parts = urlsplit(value)
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        raise ValidationError("it must use https (plain http is for loopback only)")


def issuer(value: str) -> None:
    """Require nothing, or https, because people sign in with what it says."""
    if value:
        github_url(value)


def needed_with(env: Env, name: str, *, other: str) -> str:
    """Return a setting; SettingsError if it is missing where the other is set."""
    found: str = env.str(name, "")
    if env.str(other, "") and not found:
        raise refuse(name, f"is not set, and {other} is: set both")
    return found


def redis_url(value: str) -> None:
    """Require redis://, rediss:// or unix://."""
    if _split(value).scheme not in {"redis", "rediss", "unix"}:
        raise ValidationError("it is not an address like redis://:password@host:6379/0")


def _split(value: str) -> SplitResult:
    """Return the parts of a URL; errors must not quote it, because it may have a password."""
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as error:
        raise ValidationError(UNREADABLE_ADDRESS) from error
    return parts


def networks(values: list[str]) -> None:
    """Require a list of addresses and networks."""
    for number, value in enumerate(values, start=1):
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError as error:
            shown = repr(value) if re.fullmatch(r"[\w./-]+", value) else f"number {number} of them"
            raise ValidationError(f"{shown} is neither an IP address nor a network like 10.0.0.0/8") from error


def origins(values: list[str]) -> None:
    """Require a list of origins: scheme and host, perhaps a port, and no path."""
    for value in values:
        absolute_url(value)
        if urlsplit(value).path or value != value.lower():
            raise ValidationError("it is not a list of origins like https://chat.example.com, in lower case, no path")


def strong_key(value: str) -> None:
    """Reject a key that Django calls weak, because it signs sessions and password links."""
    too_simple = len(set(value)) < SECRET_KEY_MIN_UNIQUE_CHARACTERS
    if len(value) < SECRET_KEY_MIN_LENGTH or too_simple or value.startswith(SECRET_KEY_INSECURE_PREFIX):
        raise ValidationError(
            f"it is weak. Use {SECRET_KEY_MIN_LENGTH} random characters or more, such as `openssl rand -hex 32` makes"
        )


def postgres(env: Env) -> dict[str, Any]:
    """Return Django's database settings from DATABASE_URL, which must name PostgreSQL."""
    address: str = env.str("DATABASE_URL", validate=_split)
    parsed: dict[str, Any] = env.dj_db_url("DATABASE_URL") if urlsplit(address).scheme else {}
    if parsed.get("ENGINE") != "django.db.backends.postgresql":
        raise refuse(
            "DATABASE_URL",
            "names no PostgreSQL, and no other database will do. Use postgres://user:password@host:5432/name",
        )
    return parsed


def database_settings(address: dict[str, Any], *, role: str) -> dict[str, Any]:
    """Return Django's database settings: persistent connections, checked before use, with timeouts."""
    session = {"synchronous_commit": "on", "jit": "off"} | PLANS.get(role, {}) | SESSION_TIMEOUTS.get(role, {})
    network = NETWORK_TIMEOUTS if role in SESSION_TIMEOUTS else {"connect_timeout": 10}
    given = address.get("OPTIONS", {})
    return address | {
        "CONN_MAX_AGE": CONNECTION_AGES.get(role, 60),
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
        "OPTIONS": {
            **network,
            "prepare_threshold": 1,  # for the statements of ours that ask for it: apps/common/db.py
            "application_name": f"tformance {role}",
            **given,
            "options": " ".join(
                [*(f"-c {name}={value}" for name, value in session.items()), *filter(None, [given.get("options")])]
            ),
        },
    }


def webhook_secrets(env: Env) -> list[str]:
    """Return the webhook secrets; SettingsError if they are set under a similar wrong name."""
    if env.str("GITHUB_WEBHOOK_SECRET", ""):
        raise refuse(
            "GITHUB_WEBHOOK_SECRET",
            "is not read. The setting is GITHUB_WEBHOOK_SECRETS, in the plural: one secret, or several separated by "
            "commas",
        )
    found: list[str] = env.list("GITHUB_WEBHOOK_SECRETS", [])
    return found


def private_key(env: Env) -> str:
    """Return the App's private key in PEM, from the variable or the file it names; empty without either."""
    given: str = env.str("GITHUB_APP_PRIVATE_KEY", "")
    path: str = env.str("GITHUB_APP_PRIVATE_KEY_FILE", "")
    if given and path:
        raise refuse("GITHUB_APP_PRIVATE_KEY_FILE", "is set and GITHUB_APP_PRIVATE_KEY too: set one of them, not both")
    if not path:
        return given.replace("\\n", "\n")  # how a PEM survives in an env file
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise refuse("GITHUB_APP_PRIVATE_KEY_FILE", f"names {path}, which cannot be read ({reason})") from error


def email(env: Env, *, default: str) -> dict[str, Any]:
    """Return Django's EMAIL_* settings from EMAIL_URL."""
    parsed: dict[str, Any] = env.dj_email_url("EMAIL_URL", default)
    if "EMAIL_BACKEND" not in parsed:
        raise refuse(
            "EMAIL_URL", "names no kind of server that tformance knows. Use submission://user:password@host:587"
        )
    return parsed


def explain(error: EnvError) -> SettingsError:
    """Return the error as a message for the person who starts the process."""
    named = re.search(r'"([A-Z_]+)"', str(error))
    name = named[1] if named else "A setting"
    if isinstance(error, EnvNotSetError):
        return SettingsError(
            f"{name} is not set. On one machine `make run` generates and stores it; "
            "elsewhere set it in the environment. docs/operations.md explains every setting.",
            name=name,
        )
    found = error.error_messages if isinstance(error, EnvValidationError) else []
    words = "; ".join(str(message).rstrip(".") for message in found)
    return refuse(name, f"is invalid: {words[:1].lower()}{words[1:]}")


def go_on_without_mistaken_settings() -> None:
    """Load the settings and collect in MISTAKES those that this process runs without."""
    while True:
        try:
            _ = settings.ROLE
        except SettingsError as error:
            if not error.name or error.name in MISTAKES:
                raise
            MISTAKES[error.name] = str(error)
        else:
            return

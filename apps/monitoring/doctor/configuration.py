"""Checks of the configuration: settings, the public address, and free space on the disk."""

import shutil
from collections.abc import Collection, Iterator, Sequence
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import ERROR, CheckMessage, Error, Tags, run_checks
from django.core.checks.security.base import check_secret_key

from apps.common.github_host import LOOPBACK
from apps.monitoring.doctor.checks import Check, Result, failure, ok, unchecked, warning

NAMES = ("secret key", "encryption keys", "settings", "public address", "engines", "disk")

OF_SECRET_KEY = {"security.W009"}
OF_ENCRYPTION = {"webhooks.E002", "webhooks.W002", "integrations.W001"}
OF_SECRETS = {"webhooks.E001", "webhooks.W001"}
"""Reported with the webhook secret, which may also be stored in the database."""

LITTLE_ROOM, NO_ROOM = 2 * 1024**3, 200 * 1024**2
GB = 1024**3
ON_SERVERS = "Set it in the environment of every process and restart them (docs/operations.md, Settings)."


def check_configuration() -> Iterator[Check]:
    """Check what needs no connection to anything."""
    found = system_messages()
    if "SECRET_KEY" in settings.MISTAKEN_SETTINGS:
        yield failure("secret key", settings.MISTAKEN_SETTINGS["SECRET_KEY"], ON_SERVERS)
    else:
        yield of_messages(
            "secret key",
            chosen(found, OF_SECRET_KEY),
            good="Long and random.",
            advice=f"50 random characters. {ON_SERVERS}",
        )
    keys = len(settings.FERNET_KEYS)
    yield of_messages(
        "encryption keys",
        chosen(found, OF_ENCRYPTION),
        good=f"{keys} valid key{'' if keys == 1 else 's'} in FERNET_KEYS.",
        advice=f"Keep them with your backups. {ON_SERVERS}",
    )
    others = [one for one in found if one.id not in OF_SECRET_KEY | OF_ENCRYPTION | OF_SECRETS]
    mistaken = [Error(words) for words in settings.MISTAKEN_SETTINGS.values()]
    yield of_messages("settings", [*mistaken, *others], good="Valid.", advice=ON_SERVERS)
    if "PUBLIC_URL" in settings.MISTAKEN_SETTINGS:
        yield unchecked("public address", "Not checked because PUBLIC_URL is invalid: see settings above.")
    else:
        yield check_address(settings.PUBLIC_URL, allowed_hosts=settings.ALLOWED_HOSTS, is_debug=settings.DEBUG)
    yield check_engines(settings.EMBEDDED_ENGINES)
    yield check_disk()


def system_messages() -> list[CheckMessage]:
    """Return the messages of Django's checks of settings; deployment checks only if the public address is https.

    Checks of models, pages and the API schema are about code: they take seconds and say nothing about an instance.
    """
    found = run_checks(tags=[Tags.security], include_deployment_checks=settings.IS_HTTPS)
    if not settings.IS_HTTPS:
        found += check_secret_key(None)
    return [message for message in found if not message.is_silenced()]


def chosen(messages: Sequence[CheckMessage], ids: Collection[str]) -> list[CheckMessage]:
    return [message for message in messages if message.id in ids]


def of_messages(name: str, messages: Sequence[CheckMessage], *, good: str, advice: str) -> Check:
    """Return one check for all messages, with the worst result."""
    if not messages:
        return ok(name, good)
    is_error = any(message.level >= ERROR for message in messages)
    found = " ".join(str(message.msg) for message in messages)
    hints = [f"{str(message.hint).rstrip('.')}." for message in messages if message.hint]
    return Check(name, Result.FAILED if is_error else Result.WARNING, found, " ".join([*hints, advice]))


def check_address(address: str, *, allowed_hosts: Collection[str], is_debug: bool) -> Check:
    """Check that users and GitHub can reach the address safely."""
    name, parts = "public address", urlsplit(address)
    if is_debug and parts.hostname not in LOOPBACK:
        return failure(name, f"{address} with DEBUG on: error pages show settings to everybody.", "Remove DEBUG.")
    if "*" in allowed_hosts:
        return warning(name, "ALLOWED_HOSTS accepts every host name.", "List the host names that people use.")
    if parts.hostname in LOOPBACK:
        return warning(
            name,
            f"{address} is this machine: GitHub cannot reach it.",
            "On a server, set PUBLIC_URL to the https address that GitHub and people use.",
        )
    if parts.scheme != "https":
        return warning(name, f"{address} is not https: passwords are sent unencrypted.", "Put a TLS proxy in front.")
    return ok(name, f"{address}; hosts {', '.join(sorted(set(allowed_hosts) - LOOPBACK - {'[::1]'}))}.")


def check_engines(embedded: Sequence[str]) -> Check:
    """Report whether PostgreSQL and Redis are embedded, which is enough for one machine."""
    if not embedded:
        return ok("engines", "External servers.")
    return ok(
        "engines",
        f"Embedded {' and '.join(embedded)}: enough for one machine. For several, set DATABASE_URL and REDIS_URL.",
    )


def check_disk() -> Check:
    """Check the free space of the local data folder; an external database server cannot be seen from here."""
    try:
        free = shutil.disk_usage(settings.TFORMANCE_VAR).free
    except OSError as error:
        return unchecked("disk", f"{settings.TFORMANCE_VAR} cannot be read: {error.strerror}.")
    return check_free_space(free, folder=str(settings.TFORMANCE_VAR))


def check_free_space(free: int, *, folder: str) -> Check:
    found = f"{free / GB:.1f} GB free for {folder}."
    if free < NO_ROOM:
        return failure("disk", found, "Free up space now: deliveries are refused when the disk is full.")
    if free < LITTLE_ROOM:
        return warning("disk", found, "Free up space, or lower BODY_RETENTION_DAYS.")
    return ok("disk", found)

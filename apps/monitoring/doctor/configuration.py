"""What the environment says: Django's and our own checks of it, where GitHub finds us, and room on the disk."""

import shutil
from collections.abc import Collection, Iterator, Sequence
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import ERROR, CheckMessage, Error, Tags, run_checks
from django.core.checks.security.base import check_secret_key

from apps.common.github_host import LOOPBACK
from apps.monitoring.doctor.checks import Check, Verdict, unchecked, warning, well, wrong

NAMES = ("secret key", "encryption keys", "settings", "public address", "engines", "disk")

OF_SECRET_KEY = {"security.W009"}
OF_ENCRYPTION = {"webhooks.E002", "webhooks.W002", "integrations.W001"}
OF_SECRETS = {"webhooks.E001", "webhooks.W001"}
"""Said where the database can be asked for stored ones too."""

LITTLE_ROOM, NO_ROOM = 2 * 1024**3, 200 * 1024**2
GB = 1024**3
ON_SERVERS = "Set it in the environment of every process, and restart them; docs/operations.md, Settings."


def examine_configuration() -> Iterator[Check]:
    """Everything that can be said without asking anybody."""
    found = system_messages()
    if "SECRET_KEY" in settings.MISTAKEN_SETTINGS:
        yield wrong("secret key", settings.MISTAKEN_SETTINGS["SECRET_KEY"], ON_SERVERS)
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
        good=f"{keys} of FERNET_KEYS, {'each' if keys > 1 else 'and it is'} well formed.",
        advice=f"Keep them with your backups. {ON_SERVERS}",
    )
    others = [one for one in found if one.id not in OF_SECRET_KEY | OF_ENCRYPTION | OF_SECRETS]
    mistaken = [Error(words) for words in settings.MISTAKEN_SETTINGS.values()]
    yield of_messages("settings", [*mistaken, *others], good="Nothing contradicts itself.", advice=ON_SERVERS)
    if "PUBLIC_URL" in settings.MISTAKEN_SETTINGS:
        yield unchecked("public address", "It needs PUBLIC_URL: see settings, above.")
    else:
        yield judge_address(settings.PUBLIC_URL, allowed_hosts=settings.ALLOWED_HOSTS, is_debug=settings.DEBUG)
    yield judge_engines(settings.EMBEDDED_ENGINES)
    yield look_at_disk()


def system_messages() -> list[CheckMessage]:
    """What Django's checks say of settings; those for deployment where the address is https, the secret key's always.

    Checks of models, pages and the API's description are about code: they take seconds and say nothing of an instance.
    """
    found = run_checks(tags=[Tags.security], include_deployment_checks=settings.IS_HTTPS)
    if not settings.IS_HTTPS:
        found += check_secret_key(None)
    return [message for message in found if not message.is_silenced()]


def chosen(messages: Sequence[CheckMessage], ids: Collection[str]) -> list[CheckMessage]:
    return [message for message in messages if message.id in ids]


def of_messages(name: str, messages: Sequence[CheckMessage], *, good: str, advice: str) -> Check:
    """One line for all of these; the worst of them is the verdict."""
    if not messages:
        return well(name, good)
    is_error = any(message.level >= ERROR for message in messages)
    found = " ".join(str(message.msg) for message in messages)
    hints = [f"{str(message.hint).rstrip('.')}." for message in messages if message.hint]
    return Check(name, Verdict.WRONG if is_error else Verdict.WARNING, found, " ".join([*hints, advice]))


def judge_address(address: str, *, allowed_hosts: Collection[str], is_debug: bool) -> Check:
    """Whether people and GitHub can come to this address, and safely."""
    name, parts = "public address", urlsplit(address)
    if is_debug and parts.hostname not in LOOPBACK:
        return wrong(name, f"{address}, with DEBUG on: errors show settings to whoever asks.", "Take DEBUG out.")
    if "*" in allowed_hosts:
        return warning(name, "ALLOWED_HOSTS takes every host name.", "Name the hosts that people use.")
    if parts.hostname in LOOPBACK:
        return warning(
            name,
            f"{address} is this machine: GitHub cannot post there.",
            "For a real host set PUBLIC_URL to the https address that GitHub and people use.",
        )
    if parts.scheme != "https":
        return warning(name, f"{address} is not https: sign-ins travel in the clear.", "Put a TLS proxy in front.")
    return well(name, f"{address}; hosts {', '.join(sorted(set(allowed_hosts) - LOOPBACK - {'[::1]'}))}.")


def judge_engines(embedded: Sequence[str]) -> Check:
    """The embedded ones are enough for one machine, and for no more."""
    if not embedded:
        return well("engines", "Servers of your own.")
    return well("engines", f"Embedded {' and '.join(embedded)}: for this one machine. On several, set their URLs.")


def look_at_disk() -> Check:
    """Room where everything is kept between runs; that of a database server of your own is not seen from here."""
    try:
        free = shutil.disk_usage(settings.TFORMANCE_VAR).free
    except OSError as error:
        return unchecked("disk", f"{settings.TFORMANCE_VAR} cannot be looked at: {error.strerror}.")
    return judge_room(free, folder=str(settings.TFORMANCE_VAR))


def judge_room(free: int, *, folder: str) -> Check:
    found = f"{free / GB:.1f} GB free for {folder}."
    if free < NO_ROOM:
        return wrong("disk", found, "Make room now: a full disk refuses deliveries.")
    if free < LITTLE_ROOM:
        return warning("disk", found, "Make room, or lower BODY_RETENTION_DAYS.")
    return well("disk", found)

"""The sender of a delivery: its signature, the active webhook secrets, and the headers that name the delivery.

The headers are not signed and therefore checked.
"""

import hashlib
import hmac
import logging
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, OperationalError
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from apps.common import db
from apps.common.encryption import UndecryptableError, decrypt, encrypt
from apps.common.github_host import GitHubHost
from apps.webhooks.models import WebhookSecret

SHORTEST_SECRET = 16
_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """An active secret; its name is a fingerprint, which does not change when secrets are added."""

    name: str
    value: bytes = field(repr=False)


def fingerprint_of(value: str) -> SigningSecret:
    """Return the secret with its fingerprint as name."""
    encoded = value.encode()
    return SigningSecret(name=hmac.new(encoded, b"name of the slot", hashlib.sha256).hexdigest()[:8], value=encoded)


def is_strong(value: str) -> bool:
    """Return whether a secret is long enough and not a repetition of a few characters."""
    return len(value.encode()) >= SHORTEST_SECRET and len(set(value)) > 4  # noqa: PLR2004  "aaaa…", "abab…"


def is_signature(header: str) -> bool:
    """Return whether a header has the form of a SHA-256 signature; nothing else is compared."""
    return _SIGNATURE.fullmatch(header) is not None


def find_signing_secret(body: bytes, *, header: str, secrets: Sequence[SigningSecret]) -> SigningSecret | None:
    """Return the secret that signed the body, or None. Every secret is tried, to take constant time."""
    match = _SIGNATURE.fullmatch(header)
    if match is None:
        return None
    claimed = bytes.fromhex(match[1])
    signer = None
    for secret in secrets:
        if hmac.compare_digest(hmac.digest(secret.value, body, "sha256"), claimed):
            signer = secret
    return signer


REREAD_AFTER_S = 4.0
LONGEST_WAIT_S = 2.0
NOTED_EVERY_S = 10.0
"""A secret's row says when it last signed a delivery, so often in each process."""
LONGEST_NOTE_S = 1.0
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Cache:
    secrets: tuple[SigningSecret, ...]
    expires_at_s: float  # of time.monotonic


_NEVER_READ = _Cache(secrets=(), expires_at_s=0.0)
_cache = _NEVER_READ
_reread_lock = threading.Lock()
_next_note_s: dict[str, float] = {}


def active_secrets() -> Sequence[SigningSecret]:
    """Return the active secrets, at most 5 s old; DatabaseError if the stored ones cannot be read."""
    if time.monotonic() >= _cache.expires_at_s:
        _reread_once()
    return _environment_secrets(tuple(settings.GITHUB_WEBHOOK_SECRETS)) + _cache.secrets


def forget_secrets() -> None:
    """Read the stored secrets again at the next delivery."""
    global _cache  # noqa: PLW0603  one cache per process
    _cache = _NEVER_READ
    _next_note_s.clear()


def note_signature(secret: SigningSecret) -> None:
    """Store on a secret's row that it signed a delivery, every few seconds; never fails, waits a second at most.

    The rows of deliveries cannot say it forever: a redelivery signed with another secret replaces the signer.
    """
    now_s = time.monotonic()
    is_stored = any(each.name == secret.name for each in _cache.secrets)
    if not is_stored or now_s < _next_note_s.get(secret.name, 0.0):
        return
    _next_note_s[secret.name] = now_s + NOTED_EVERY_S
    try:
        with db.limit(seconds=LONGEST_NOTE_S):
            WebhookSecret.objects.filter(slot=secret.name).update(
                signed_at=Now(), proven_at=Coalesce("proven_at", Now())
            )
    except DatabaseError:
        logger.warning("webhook_signature_not_noted", extra={"slot": secret.name})


def store_secret(value: str, *, label: str) -> WebhookSecret:
    """Store a secret, encrypted; it is active within 5 s. ValueError if it is weak."""
    if not is_strong(value):
        raise ValueError("The secret is too weak: use at least 16 random characters.")
    secret, _ = WebhookSecret.objects.update_or_create(
        slot=fingerprint_of(value).name, defaults={"label": label, "encrypted_value": encrypt(value)}
    )
    return secret


def _reread_once() -> None:
    """Let one thread read; the others use the cached secrets, or wait if there are none yet."""
    is_first = _cache is _NEVER_READ
    if not _reread_lock.acquire(blocking=is_first, timeout=LONGEST_WAIT_S if is_first else -1):
        if is_first:
            raise OperationalError("The stored secrets are not read yet.")
        return
    try:
        if time.monotonic() >= _cache.expires_at_s:
            _reread()
    finally:
        _reread_lock.release()


def _reread() -> None:
    global _cache  # noqa: PLW0603  one cache per process
    with db.limit(seconds=LONGEST_WAIT_S):
        stored = list(WebhookSecret.objects.live())
    secrets = tuple(secret for secret in map(_decrypt, stored) if secret is not None)
    _cache = _Cache(secrets=secrets, expires_at_s=time.monotonic() + REREAD_AFTER_S)


def _decrypt(secret: WebhookSecret) -> SigningSecret | None:
    if not secret.is_live(now=timezone.now()):
        return None
    try:
        return fingerprint_of(decrypt(secret.encrypted_value))
    except UndecryptableError:
        logger.error("webhook_secret_undecryptable", extra={"slot": secret.slot})  # noqa: TRY400  the trace has nothing of use
        return None


@lru_cache(maxsize=8)
def _environment_secrets(values: tuple[str, ...]) -> tuple[SigningSecret, ...]:
    return tuple(fingerprint_of(value) for value in values if is_strong(value))


KEPT_HEADERS = (
    "content-type",
    "user-agent",
    "x-github-event",
    "x-github-delivery",
    "x-github-hook-id",
    "x-github-hook-installation-target-id",
    "x-github-hook-installation-target-type",
    "x-github-enterprise-host",
    "x-github-enterprise-version",
    "x-github-tenant",
    "x-github-tenant-id",
)
LONGEST_KEPT_VALUE = 200
SENDER_ADDRESS = "sender-address"
"""The key, next to those headers, of the address of a signed delivery: the doctor compares it with GitHub's list."""
_ENVIRON_NAMES = tuple(
    (name, "CONTENT_TYPE" if name == "content-type" else "HTTP_" + name.upper().replace("-", "_"))
    for name in KEPT_HEADERS
)

_EVENT = re.compile(r"[a-z][a-z0-9_]{0,63}")
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HOOK_ID = re.compile(r"[0-9]{1,18}")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


class MalformedHeaderError(ValueError):
    """A header that names the delivery is missing or is not what GitHub sends."""


@dataclass(frozen=True, slots=True)
class GitHubHook:
    """The webhook that delivers, the delivery and its event."""

    hook_id: int
    guid: UUID
    event: str
    headers: Mapping[str, str] = field(repr=False)

    is_authenticated = True  # to Django REST Framework this is who asks

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "GitHubHook":
        """Read the headers of a WSGI request; MalformedHeaderError names the first that is not as it must be."""
        event = _matching(environ, "HTTP_X_GITHUB_EVENT", _EVENT)
        guid = _matching(environ, "HTTP_X_GITHUB_DELIVERY", _GUID)
        hook_id = _matching(environ, "HTTP_X_GITHUB_HOOK_ID", _HOOK_ID)
        address = environ.get("REMOTE_ADDR", "")
        headers, sender = stored_headers(environ), {SENDER_ADDRESS: address} if address else {}
        return cls(hook_id=int(hook_id), guid=UUID(guid), event=event, headers=headers | sender)


def stored_headers(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the headers on the allow-list, short and printable. Never all: GitHub once sent a secret in one."""
    kept = {}
    for name, environ_name in _ENVIRON_NAMES:
        value = environ.get(environ_name)
        if value:
            kept[name] = _UNPRINTABLE.sub("?", value[:LONGEST_KEPT_VALUE])
    return kept


def is_of_host(environ: Mapping[str, str], *, api_url: str) -> bool:
    """Return whether a delivery comes from the GitHub whose API is configured: ids mean nothing across hosts.

    Enterprise Server names itself in one header, a tenant of GHE.com in another, and github.com in none.
    """
    github = GitHubHost(api_url)
    sender = environ.get("HTTP_X_GITHUB_ENTERPRISE_HOST", "").lower().partition(":")[0]
    return (sender, environ.get("HTTP_X_GITHUB_TENANT", "").lower()) == (github.server, github.tenant)


def _matching(environ: Mapping[str, str], name: str, pattern: re.Pattern[str]) -> str:
    value = environ.get(name, "")
    if pattern.fullmatch(value) is None:
        header = name.removeprefix("HTTP_").replace("_", "-").lower()
        raise MalformedHeaderError(f"The header {header} is missing or malformed.")
    return value

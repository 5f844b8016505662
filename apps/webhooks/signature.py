"""Signatures of deliveries, and the active webhook secrets."""

import hashlib
import hmac
import logging
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from django.conf import settings
from django.db import OperationalError
from django.utils import timezone

from apps.common import db
from apps.common.encryption import UndecryptableError, decrypt, encrypt
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
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Cache:
    secrets: tuple[SigningSecret, ...]
    expires_at_s: float  # of time.monotonic


_NEVER_READ = _Cache(secrets=(), expires_at_s=0.0)
_cache = _NEVER_READ
_reread_lock = threading.Lock()


def active_secrets() -> Sequence[SigningSecret]:
    """Return the active secrets, at most 5 s old; DatabaseError if the stored ones cannot be read."""
    if time.monotonic() >= _cache.expires_at_s:
        _reread_once()
    return _environment_secrets(tuple(settings.GITHUB_WEBHOOK_SECRETS)) + _cache.secrets


def forget_secrets() -> None:
    """Read the stored secrets again at the next delivery."""
    global _cache  # noqa: PLW0603  one cache per process
    _cache = _NEVER_READ


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

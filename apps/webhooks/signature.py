"""Whether GitHub signed these bytes, and with which of our secrets. Pure."""

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
    """One live secret; its name is a fingerprint, so that it does not change when a newer secret comes before it."""

    name: str
    value: bytes = field(repr=False)


def fingerprint_of(value: str) -> SigningSecret:
    """The slot of a secret."""
    encoded = value.encode()
    return SigningSecret(name=hmac.new(encoded, b"name of the slot", hashlib.sha256).hexdigest()[:8], value=encoded)


def is_strong(value: str) -> bool:
    """Whether a secret may be used at all: long enough, and not one character over and over."""
    return len(value.encode()) >= SHORTEST_SECRET and len(set(value)) > 4  # noqa: PLR2004  "aaaa…", "abab…"


def is_signature(header: str) -> bool:
    """Whether a header has the form of a SHA-256 signature; nothing else is ever compared."""
    return _SIGNATURE.fullmatch(header) is not None


def find_signing_secret(body: bytes, *, header: str, slots: Sequence[SigningSecret]) -> SigningSecret | None:
    """The slot whose secret signed the body, or None. Every slot is tried: the time tells nothing."""
    match = _SIGNATURE.fullmatch(header)
    if match is None:
        return None
    claimed = bytes.fromhex(match[1])
    signer = None
    for slot in slots:
        if hmac.compare_digest(hmac.digest(slot.value, body, "sha256"), claimed):
            signer = slot
    return signer


REREAD_AFTER_S = 4.0
LONGEST_WAIT_S = 2.0
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Reading:
    slots: tuple[SigningSecret, ...]
    expires_at_s: float  # of time.monotonic


_NEVER_READ = _Reading(slots=(), expires_at_s=0.0)
_reading = _NEVER_READ
_rereading = threading.Lock()


def active_secrets() -> Sequence[SigningSecret]:
    """Every secret that may sign a delivery now, at most 5 s old; DatabaseError if the store cannot be asked."""
    if time.monotonic() >= _reading.expires_at_s:
        _reread_once()
    return _environment_slots(tuple(settings.GITHUB_WEBHOOK_SECRETS)) + _reading.slots


def forget_slots() -> None:
    """Read the store again at the next delivery."""
    global _reading  # noqa: PLW0603  one cache per process
    _reading = _NEVER_READ


def store_secret(value: str, *, label: str) -> WebhookSecret:
    """Keep a secret, encrypted; it may sign within 5 s. ValueError if it is weak."""
    if not is_strong(value):
        raise ValueError("The secret is weak: use 16 random characters or more.")
    secret, _ = WebhookSecret.objects.update_or_create(
        slot=fingerprint_of(value).name, defaults={"label": label, "encrypted_value": encrypt(value)}
    )
    return secret


def _reread_once() -> None:
    """Let one thread ask; the others go on with what is known, or wait for the first answer of all."""
    is_first = _reading is _NEVER_READ
    if not _rereading.acquire(blocking=is_first, timeout=LONGEST_WAIT_S if is_first else -1):
        if is_first:
            raise OperationalError("The stored secrets are not read yet.")
        return
    try:
        if time.monotonic() >= _reading.expires_at_s:
            _reread()
    finally:
        _rereading.release()


def _reread() -> None:
    global _reading  # noqa: PLW0603  one cache per process
    with db.limit(seconds=LONGEST_WAIT_S):
        stored = list(WebhookSecret.objects.live())
    slots = tuple(slot for slot in map(_decrypt, stored) if slot is not None)
    _reading = _Reading(slots=slots, expires_at_s=time.monotonic() + REREAD_AFTER_S)


def _decrypt(secret: WebhookSecret) -> SigningSecret | None:
    if not secret.is_live(now=timezone.now()):
        return None
    try:
        return fingerprint_of(decrypt(secret.encrypted_value))
    except UndecryptableError:
        logger.error("webhook_secret_undecryptable", extra={"slot": secret.slot})  # noqa: TRY400  the trace tells nothing
        return None


@lru_cache(maxsize=8)
def _environment_slots(values: tuple[str, ...]) -> tuple[SigningSecret, ...]:
    return tuple(fingerprint_of(value) for value in values if is_strong(value))

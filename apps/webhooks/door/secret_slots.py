"""The secrets that may sign now: those of the environment and those of the encrypted store, reread within seconds."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from django.db import OperationalError
from django.utils import timezone

from apps import watchdog
from apps.encryption import Undecryptable, decrypt, encrypt
from apps.webhooks.door.signature import SecretSlot, is_strong, slot_of
from apps.webhooks.models import WebhookSecret

REREAD_AFTER_S = 4.0
LONGEST_WAIT_S = 2.0
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Reading:
    slots: tuple[SecretSlot, ...]
    expires_at_s: float  # of time.monotonic


_NEVER_READ = _Reading(slots=(), expires_at_s=0.0)
_reading = _NEVER_READ
_rereading = threading.Lock()


def active_slots() -> Sequence[SecretSlot]:
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
        slot=slot_of(value).name, defaults={"label": label, "encrypted_value": encrypt(value)}
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
    with watchdog.limit(seconds=LONGEST_WAIT_S):
        stored = list(WebhookSecret.objects.live())
    slots = tuple(slot for slot in map(_decrypt, stored) if slot is not None)
    _reading = _Reading(slots=slots, expires_at_s=time.monotonic() + REREAD_AFTER_S)


def _decrypt(secret: WebhookSecret) -> SecretSlot | None:
    if not secret.is_live(now=timezone.now()):
        return None
    try:
        return slot_of(decrypt(secret.encrypted_value))
    except Undecryptable:
        logger.error("webhook_secret_undecryptable", extra={"slot": secret.slot})  # noqa: TRY400  the trace tells nothing
        return None


@lru_cache(maxsize=8)
def _environment_slots(values: tuple[str, ...]) -> tuple[SecretSlot, ...]:
    return tuple(slot_of(value) for value in values if is_strong(value))

"""Whether GitHub signed these bytes, and with which of our secrets. Pure."""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

SHORTEST_SECRET = 16
_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class SecretSlot:
    """One live secret; its name is a fingerprint, so that it does not change when a newer secret comes before it."""

    name: str
    value: bytes = field(repr=False)


def slot_of(value: str) -> SecretSlot:
    """The slot of a secret."""
    encoded = value.encode()
    return SecretSlot(name=hmac.new(encoded, b"name of the slot", hashlib.sha256).hexdigest()[:8], value=encoded)


def is_strong(value: str) -> bool:
    """Whether a secret may be used at all: long enough, and not one character over and over."""
    return len(value.encode()) >= SHORTEST_SECRET and len(set(value)) > 4  # noqa: PLR2004  "aaaa…", "abab…"


def is_signature(header: str) -> bool:
    """Whether a header has the form of a SHA-256 signature; nothing else is ever compared."""
    return _SIGNATURE.fullmatch(header) is not None


def signing_slot(body: bytes, *, header: str, slots: Sequence[SecretSlot]) -> SecretSlot | None:
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

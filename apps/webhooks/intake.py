"""Intake of a delivery: store it, then notify the workers; and comparison of different bodies with one key."""

import hashlib
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db import DatabaseError
from psycopg.types.json import Jsonb

from apps.common import db
from apps.webhooks import claims, group_commit, wakeups
from apps.webhooks.group_commit import GroupCommitter, NewDelivery, StoredDelivery
from apps.webhooks.inbox_overview import RESPONSES
from apps.webhooks.models import Delivery, DeliveryBody, OtherBody
from apps.webhooks.parsing import UnusablePayloadError, find_routing, is_form, read_document
from apps.webhooks.signature import GitHubHook

MOST_ATTEMPTS = 3
logger = logging.getLogger(__name__)

_STORE = """
INSERT INTO webhooks_otherbody (delivery_id, body_sha256, content, headers)
VALUES (%(id)s, %(sha256)b, %(content)b, %(headers)s) ON CONFLICT DO NOTHING
"""


def store_other_body(delivery_id: int, *, content: bytes, headers: Mapping[str, str]) -> None:
    """Store another body of a known key until a worker has compared it; a failure is logged."""
    size = len(content)
    parameters = {
        "id": delivery_id,
        "sha256": hashlib.sha256(content).digest(),
        "content": content,
        "headers": Jsonb(dict(headers)),
    }
    try:
        with db.limit(seconds=group_commit.longest_wait_s(size)), group_commit.time_for(size):
            db.run(_STORE, parameters)
    except DatabaseError:  # the delivery is stored and counted: the response is still 202
        logger.warning("conflict_not_checked", extra={"delivery": delivery_id})


def compare_other_bodies() -> int:
    """Compare other bodies of known keys with the first ones and flag conflicts; return how many were compared.

    A body that could not be compared in MOST_ATTEMPTS because each worker died is given up and logged, without a
    conflict.
    """
    compared = 0
    while (claimed := claims.claim_other_body()) is not None:
        other = OtherBody.objects.get(id=claimed)
        if other.attempts > MOST_ATTEMPTS:
            logger.error("conflict_not_checked", extra={"delivery": other.delivery_id})
        elif _is_conflict(other):
            Delivery.objects.filter(id=other.delivery_id).update(is_conflict=True)
            logger.warning("delivery_conflict", extra={"delivery": other.delivery_id})
        other.delete()
        compared += 1
    return compared


def _is_conflict(other: OtherBody) -> bool:
    first = DeliveryBody.objects.of([other.delivery]).first()
    if first is None:  # it has expired
        return False
    known, again = _document_digest(first), _document_digest(other)
    return known is None or known != again


def _document_digest(body: DeliveryBody | OtherBody) -> bytes | None:
    """Return a digest of a body's document, independent of order and encoding; None if it cannot be parsed."""
    try:
        document = read_document(bytes(body.content), content_type=body.headers.get("content-type", ""))
    except UnusablePayloadError:
        return None
    return hashlib.sha256(json.dumps(_with_plain_numbers(document.payload), sort_keys=True).encode()).digest()


def _with_plain_numbers(value: Any) -> Any:
    """Return the value with whole numbers as integers, because 1.0 and 1 are the same in JSON."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _with_plain_numbers(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_with_plain_numbers(member) for member in value]
    return value


WINDOW_S = 10.0
MOST_OUTCOMES = 1000
FEWEST_FAILED = 3  # one row that is locked for long is not an outage

_lock = threading.Lock()
_outcomes: deque[tuple[float, bool]] = deque(maxlen=MOST_OUTCOMES)


def note_outcome(*, is_stored: bool) -> None:
    """Record whether a signed delivery was stored."""
    with _lock:
        _outcomes.append((time.monotonic(), is_stored))


def are_failing() -> bool:
    """Return whether this process failed to store a quarter or more of the latest deliveries."""
    since_s = time.monotonic() - WINDOW_S
    with _lock:
        latest = [is_stored for at_s, is_stored in _outcomes if at_s >= since_s]
    failed = latest.count(False)
    return failed >= FEWEST_FAILED and failed * 4 >= len(latest)


def forget_outcomes() -> None:
    """Forget all outcomes; for tests."""
    with _lock:
        _outcomes.clear()


_committer = GroupCommitter()


class Outcome(StrEnum):
    """The outcome of storing a delivery."""

    STORED = "stored"
    REARMED = "rearmed"  # it had failed and is due again
    DUPLICATE = "duplicate"
    OTHER_BYTES = "other_bytes"  # the key is known with another body; a worker compares the documents


@dataclass(frozen=True, slots=True)
class Receipt:
    """The stored row of a delivery."""

    id: int
    key: str
    outcome: Outcome


def receive(
    hook: GitHubHook,
    content: bytes,
    *,
    signed_by: str = "",
    source: Delivery.Source = Delivery.Source.WEBHOOK,
    received_at: datetime | None = None,
) -> Receipt:
    """Store a delivery and notify the workers; DatabaseError within 4 s if it may not be stored.

    `received_at` is when it would have arrived, if it was recovered later; facts without their own time use it.
    """
    content_type = hook.headers.get("content-type", "")
    routing = find_routing(content, is_form=is_form(content_type))
    delivery = NewDelivery(
        hook=hook,
        content=content,
        routing=routing,
        source=int(source),
        signed_by=signed_by,
        received_at=received_at,
    )
    stored = _committer.store(delivery)
    if not stored.is_same_body:
        store_other_body(stored.id, content=content, headers=hook.headers)
    receipt = Receipt(id=stored.id, key=f"{hook.hook_id}:{hook.guid}", outcome=_outcome(stored))
    if stored.is_due:
        wakeups.notify(wakeups.Wakeup(id=receipt.id, key=receipt.key))
    RESPONSES.labels(receipt.outcome.value).inc()
    return receipt


def _outcome(stored: StoredDelivery) -> Outcome:
    if stored.is_new:
        return Outcome.STORED
    if not stored.is_same_body:
        return Outcome.OTHER_BYTES
    return Outcome.REARMED if stored.is_due else Outcome.DUPLICATE

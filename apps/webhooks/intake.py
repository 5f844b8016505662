"""Taking a delivery in: it is kept, whatever else is true of its key, and then the workers are told."""

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
from apps.webhooks import group_commit, wakeups
from apps.webhooks.group_commit import GroupCommitter, NewDelivery, StoredDelivery
from apps.webhooks.models import Delivery, DeliveryBody, OtherBody
from apps.webhooks.origin import GitHubHook, find_routing
from apps.webhooks.overview import ANSWERS
from apps.webhooks.parsing import UnusablePayloadError, is_form, read_document

MOST_ATTEMPTS = 3
logger = logging.getLogger(__name__)

_STORE = """
INSERT INTO webhooks_otherbody (delivery_id, body_sha256, content, headers)
VALUES (%(id)s, %(sha256)b, %(content)b, %(headers)s) ON CONFLICT DO NOTHING
"""
# An attempt counts before the work, so that a body that ends its worker is not read for ever.
_CLAIM = """
UPDATE webhooks_otherbody SET attempts = attempts + 1, not_before = statement_timestamp() + interval '2 minutes'
WHERE id = (
    SELECT id FROM webhooks_otherbody WHERE not_before <= statement_timestamp()
    ORDER BY not_before LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id
"""


def store_other_body(delivery_id: int, *, content: bytes, headers: Mapping[str, str]) -> None:
    """Keep a body that came under a known key until a worker has compared it; a failure is logged."""
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
    except DatabaseError:  # the delivery is stored and counted: the answer stands
        logger.warning("conflict_not_checked", extra={"delivery": delivery_id})


def compare_other_bodies() -> int:
    """Compare the bodies that came under a known key with the first ones, flag the conflicts; return how many.

    A body that could not be compared in MOST_ATTEMPTS, because each worker died meanwhile, is given up and logged: no
    comparison has found a conflict.
    """
    compared = 0
    while claimed := db.run(_CLAIM):
        other = OtherBody.objects.get(id=claimed[0][0])
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
    """Return a digest of what a body says, whatever its order and form; None if nothing can be made of it."""
    try:
        document = read_document(bytes(body.content), content_type=body.headers.get("content-type", ""))
    except UnusablePayloadError:
        return None
    return hashlib.sha256(json.dumps(_with_plain_numbers(document.payload), sort_keys=True).encode()).digest()


def _with_plain_numbers(value: Any) -> Any:
    """Return the value with whole numbers as integers: JSON has one kind of number, 1.0 and 1 are the same."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _with_plain_numbers(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_with_plain_numbers(member) for member in value]
    return value


REMEMBERED_S = 10.0
MOST_REMEMBERED = 1000
FEWEST_FAILED = 3  # one row that is locked for long is no outage

_lock = threading.Lock()
_posts: deque[tuple[float, bool]] = deque(maxlen=MOST_REMEMBERED)


def note(*, is_kept: bool) -> None:
    """Note what became of a signed post."""
    with _lock:
        _posts.append((time.monotonic(), is_kept))


def are_failing() -> bool:
    """Whether a quarter or more of them could not be kept by this process."""
    since_s = time.monotonic() - REMEMBERED_S
    with _lock:
        kept = [is_kept for at_s, is_kept in _posts if at_s >= since_s]
    failed = kept.count(False)
    return failed >= FEWEST_FAILED and failed * 4 >= len(kept)


def forget() -> None:
    """Forget all posts; for tests."""
    with _lock:
        _posts.clear()


_line = GroupCommitter()


class Outcome(StrEnum):
    """What a post was."""

    STORED = "stored"
    REARMED = "rearmed"  # it had failed, and is due again
    DUPLICATE = "duplicate"
    OTHER_BYTES = "other_bytes"  # the key is known; the first body is kept, a worker compares the documents


@dataclass(frozen=True, slots=True)
class Receipt:
    """The row that keeps a delivery."""

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
    """Keep a delivery and tell the workers; DatabaseError within 4 s when nothing is known to be stored.

    `received_at` is when it would have arrived, where it was brought later: what has no other time goes by that.
    """
    content_type = hook.headers.get("content-type", "")
    routing = find_routing(content, is_form=is_form(content_type))
    parcel = NewDelivery(
        hook=hook,
        content=content,
        routing=routing,
        source=int(source),
        signed_by=signed_by,
        received_at=received_at,
    )
    kept = _line.keep(parcel)
    if not kept.is_same_body:
        store_other_body(kept.id, content=content, headers=hook.headers)
    receipt = Receipt(id=kept.id, key=f"{hook.hook_id}:{hook.guid}", outcome=_outcome(kept))
    if kept.is_due:
        wakeups.tell(wakeups.Wakeup(id=receipt.id, key=receipt.key))
    ANSWERS.labels(receipt.outcome.value).inc()
    return receipt


def _outcome(kept: StoredDelivery) -> Outcome:
    if kept.is_new:
        return Outcome.STORED
    if not kept.is_same_body:
        return Outcome.OTHER_BYTES
    return Outcome.REARMED if kept.is_due else Outcome.DUPLICATE

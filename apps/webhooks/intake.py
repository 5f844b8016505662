"""Taking a delivery in: it is kept, whatever else is true of its key, and then the workers are told."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from apps.webhooks import conflicts, wakeups
from apps.webhooks.counters import ANSWERS
from apps.webhooks.group_commit import Kept, Line, Parcel
from apps.webhooks.models import Delivery
from apps.webhooks.origin import GitHubHook, find_routing
from apps.webhooks.parsing import is_form

_line = Line()


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
    parcel = Parcel(
        hook=hook,
        content=content,
        routing=routing,
        source=int(source),
        signed_by=signed_by,
        received_at=received_at,
    )
    kept = _line.keep(parcel)
    if not kept.is_same_body:
        conflicts.store_other_body(kept.id, content=content, headers=hook.headers)
    receipt = Receipt(id=kept.id, key=f"{hook.hook_id}:{hook.guid}", outcome=_outcome(kept))
    if kept.is_due:
        wakeups.tell(wakeups.Post(id=receipt.id, key=receipt.key))
    ANSWERS.labels(receipt.outcome.value).inc()
    return receipt


def _outcome(kept: Kept) -> Outcome:
    if kept.is_new:
        return Outcome.STORED
    if not kept.is_same_body:
        return Outcome.OTHER_BYTES
    return Outcome.REARMED if kept.is_due else Outcome.DUPLICATE

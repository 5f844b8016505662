"""Taking a delivery in: it is kept, whatever else is true of its key, and then the workers are told."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from apps import watchdog
from apps.webhooks.bell import ring
from apps.webhooks.counters import ANSWERS
from apps.webhooks.door import conflicts
from apps.webhooks.door.hook import GitHubHook
from apps.webhooks.door.keeping import LONGEST_WAIT_S, Kept, Line, Parcel
from apps.webhooks.door.routing import find_routing
from apps.webhooks.models import Delivery
from apps.webhooks.parsing import is_form

_line = Line()


class Outcome(StrEnum):
    """What a post was."""

    STORED = "stored"
    REARMED = "rearmed"  # it had failed, and is due again
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"  # the key is known with other content; the first is kept


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
    is_conflict = not kept.is_same_body and _flag_conflict(kept, content=content, content_type=content_type)
    outcome = _outcome(kept, is_conflict=is_conflict)
    receipt = Receipt(id=kept.id, key=f"{hook.hook_id}:{hook.guid}", outcome=outcome)
    if kept.is_due:
        ring.tell(ring.Post(id=receipt.id, key=receipt.key))
    ANSWERS.labels(outcome.value).inc()
    return receipt


def _flag_conflict(kept: Kept, *, content: bytes, content_type: str) -> bool:
    with watchdog.limit(seconds=LONGEST_WAIT_S):
        return conflicts.flag_other_content(kept.id, content=content, content_type=content_type)


def _outcome(kept: Kept, *, is_conflict: bool) -> Outcome:
    if kept.is_new:
        return Outcome.STORED
    if is_conflict:
        return Outcome.CONFLICT
    return Outcome.REARMED if kept.is_due else Outcome.DUPLICATE

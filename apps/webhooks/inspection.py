"""A stored delivery for people: its body as text, and the facts in it."""

import json
from collections import defaultdict
from dataclasses import dataclass

from django.db.models import Q

from apps.activity.facts import Fact
from apps.activity.models import Provenance
from apps.activity.record import entity_key
from apps.webhooks.claims import Claimed
from apps.webhooks.models import Delivery, DeliveryBody
from apps.webhooks.parsing import UnusablePayloadError, read_document
from apps.webhooks.translate import translate_delivery

DELIVERY = "delivery"


def readable_body(body: DeliveryBody) -> str:
    """Return the body as text, indented if it is JSON."""
    content = bytes(body.content)
    try:
        document = read_document(content, content_type=body.headers.get("content-type", ""))
    except UnusablePayloadError:
        return content.decode("utf-8", "backslashreplace")
    return json.dumps(document.payload, indent=2, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Reported:
    """An entity that a delivery reported, the facts about it, and whether they are recorded."""

    entity: str
    key: str
    facts: tuple[str, ...]
    is_recorded: bool


def reported_in(delivery: Delivery, body: DeliveryBody) -> list[Reported]:
    """Return the entities in a delivery's facts, in their order; empty if nothing can be made of it."""
    facts: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for fact in _facts_in(delivery, body):
        if fact.entity:
            facts[fact.entity, entity_key(fact)][type(fact).__name__] = None
    recorded = _recorded(delivery, list(facts))
    return [Reported(entity, key, tuple(names), (entity, key) in recorded) for (entity, key), names in facts.items()]


def _facts_in(delivery: Delivery, body: DeliveryBody) -> tuple[Fact, ...]:
    claimed = Claimed(
        id=delivery.pk,
        hook_id=delivery.hook_id,
        guid=delivery.guid,
        event=delivery.event,
        received_at=delivery.received_at,
        claim_number=delivery.claim_number,
        attempts=delivery.attempts,
        size=delivery.size,
        is_claimed_alone=True,
        state=delivery.state,
        content=bytes(body.content),
        content_type=body.headers.get("content-type"),
    )
    return translate_delivery(claimed).facts


def _recorded(delivery: Delivery, entities: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return those of the entities that are recorded as coming from the delivery; the unique index finds them."""
    keys: dict[str, list[str]] = defaultdict(list)
    for entity, key in entities:
        keys[entity].append(key)
    named = Q()
    for entity, own in keys.items():
        named |= Q(entity=entity, key__in=own)
    if not named:
        return set()
    found = Provenance.objects.filter(named, source=DELIVERY, source_key=str(delivery.pk))
    return set(found.values_list("entity", "key"))

"""Translating in tests: a payload in, its facts out."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from apps.activity.facts import Evidence, Fact, Source, evidence
from apps.demo.organisation import Sent
from apps.webhooks.registry import Event, Unrouted, route
from tests.github.times import at

ARRIVAL = at("03-20", "12:00")


def translate(event: str, payload: dict[str, Any], *, received_at: datetime = ARRIVAL) -> list[Fact]:
    """The facts of one payload; it must have a translator."""
    action = payload.get("action")
    translator = route(event, action)
    assert not isinstance(translator, Unrouted), (event, action, translator)
    return list(translator(Event(event, action, payload, 1, "guid", received_at)))


def only(kind: type[Fact], facts: Iterable[Fact]) -> Any:
    """The one fact of this class."""
    found = of(kind, facts)
    assert found, kind
    assert all(fact == found[0] for fact in found), found
    return found[0]


def of(kind: type[Fact], facts: Iterable[Fact]) -> list[Any]:
    """All facts of this class."""
    return [fact for fact in facts if type(fact) is kind]


def evidence_of(story: Iterable[Sent]) -> list[Evidence]:
    """Each delivery of a story as evidence, arrived when it happened."""
    return [
        evidence(Source(kind="delivery", key=sent.guid), translate(sent.event, sent.payload, received_at=sent.at))
        for sent in story
    ]

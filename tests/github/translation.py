"""Payloads of the tests, the facts that they become, times, and the door that takes them in."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from django.conf import settings
from django.test import Client

from apps.activity.facts import Evidence, Fact, Source, evidence
from apps.demo.deliveries import HOOK_ID, body_of, signed_headers
from apps.demo.scenario import Sent
from apps.demo.shapes import Json
from apps.webhooks.registry import Event, Unrouted, route


def at(day: str, time: str) -> datetime:
    """`at("03-02", "09:00")`: an instant of 2026 in UTC."""
    return datetime.fromisoformat(f"2026-{day}T{time}:00+00:00").astimezone(UTC)


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


FOLDER = Path(__file__).resolve().parents[1] / "payloads"
EXPECTED = ".expected"


class Sample(NamedTuple):
    """A payload as GitHub delivers it, and its event."""

    event: str
    payload: Json


def payload_of(event: str, action: str | None = None, variant: str | None = None) -> Json:
    """Return the sample payload of this event and action."""
    return read(".".join(part for part in (event, action, variant) if part)).payload


def read(name: str) -> Sample:
    """Return the sample that has this name."""
    return Sample(name.partition(".")[0], json.loads((FOLDER / f"{name}.json").read_bytes()))


def names() -> list[str]:
    """Return the names of all samples."""
    return sorted(path.stem for path in FOLDER.glob("*.json") if not path.stem.endswith(EXPECTED))


PATH = "/webhooks/github/"


class Door:
    """A GitHub that knows the secret."""

    def __init__(self, secret: str | None = None, *, hook_id: int = HOOK_ID) -> None:
        self.hook_id = hook_id
        self.secret = secret or settings.GITHUB_WEBHOOK_SECRETS[0]
        self.client = Client()

    def post(self, event: str, payload: Json, *, guid: str | None = None) -> Any:
        """Deliver one payload; the answer."""
        body = body_of(payload)
        headers = signed_headers(body, secret=self.secret, event=event, guid=guid or str(uuid4()), hook_id=self.hook_id)
        return self.client.post(PATH, data=body, content_type="application/json", headers=dict(headers))

    def deliver(self, story: Iterable[Sent]) -> None:
        """Deliver a story; every one must be accepted."""
        for sent in story:
            answer = self.post(sent.event, sent.payload, guid=sent.guid)
            assert answer.status_code == 202, (sent.event, answer.status_code, answer.content)

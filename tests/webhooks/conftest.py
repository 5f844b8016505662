"""The cast of the inbox's tests: GitHub, who delivers, and an event that only these tests know."""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.test import Client

from apps.activity.facts import Fact
from apps.demo import deliveries
from apps.webhooks import registry, signature, views, wakeups, worker
from apps.webhooks.models import Delivery
from apps.webhooks.parsing import UnusablePayloadError
from apps.webhooks.registry import Event
from tests.engines import WEBHOOK_SECRET

RECEIVER = "/webhooks/github/"
HOOK_ID = 292430182


def sign(body: bytes, *, secret: str = WEBHOOK_SECRET) -> str:
    return deliveries.sign(body, secret=secret)


PATIENCE_S = 100.0
"""Costs nothing where a test passes, and is long enough for a machine that does ten things at once."""


def eventually(is_true: Callable[[], Any], *, within_s: float = PATIENCE_S) -> None:
    """Wait until it is true; fail when it never is."""
    deadline_s = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < deadline_s, "it never became true"
        time.sleep(0.02)


@dataclass
class GitHub:
    """A client that posts to the receiver as GitHub does; any part of a delivery can be made wrong."""

    secret: str = WEBHOOK_SECRET
    client: Client = field(default_factory=Client)

    def deliver(self, payload: Any = None, **changes: Any) -> Any:
        body = json.dumps({"action": "happened"} if payload is None else payload, separators=(",", ":")).encode()
        return self.post(body, **changes)

    def deliver_form(self, payload: Any, **changes: Any) -> Any:
        body = b"payload=" + quote_plus(json.dumps(payload)).encode()
        return self.post(body, content_type="application/x-www-form-urlencoded", **changes)

    def post(
        self,
        body: bytes,
        *,
        event: str = "made_up",
        guid: str | None = None,
        hook_id: str | int = HOOK_ID,
        content_type: str = "application/json",
        headers: Mapping[str, str | None] | None = None,
        environ: Mapping[str, str] | None = None,
        path: str = RECEIVER,
    ) -> Any:
        sent = {
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": guid or str(uuid.uuid4()),
            "X-GitHub-Hook-ID": str(hook_id),
            "X-Hub-Signature-256": sign(body, secret=self.secret),
            "User-Agent": "GitHub-Hookshot/0a1b2c3",
            **(headers or {}),
        }
        kept = {name: value for name, value in sent.items() if value is not None}
        framing = {"CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": content_type, **(environ or {})}
        return self.client.generic("POST", path, body, content_type, headers=kept, **framing)


@pytest.fixture(autouse=True)
def _remember_nothing_of_the_last_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(views, "_log", views.RefusalLog())
    signature.forget_secrets()
    yield
    assert wakeups._sender.finish(), "no wake-up may be sent into the next test"


@pytest.fixture
def github(made_up_event: "MadeUpEvent") -> GitHub:
    return GitHub()


@dataclass
class MadeUpEvent:
    """An event of no GitHub's; its translator notes whom it saw and does what the action says."""

    seen: list[Event] = field(default_factory=list)
    make_facts: Callable[[Event], tuple[Fact, ...]] = lambda event: ()

    def translate(self, event: Event) -> tuple[Fact, ...]:
        self.seen.append(event)
        return self.make_facts(event)

    def lacks_a_key(self, event: Event) -> tuple[Fact, ...]:
        return event.payload["what"]["is"]["not there"]

    def is_unusable(self, event: Event) -> tuple[Fact, ...]:
        raise UnusablePayloadError("made_up_reason", "and its detail")

    def breaks(self, event: Event) -> tuple[Fact, ...]:
        raise RuntimeError("a bug in the translator")

    def takes_too_long(self, event: Event) -> tuple[Fact, ...]:
        raise SoftTimeLimitExceeded


@pytest.fixture
def made_up_event() -> Iterator[MadeUpEvent]:
    event = MadeUpEvent()
    with registry.scoped_registration():
        registry.translates("made_up", "happened", "happened_again")(event.translate)
        registry.translates("made_up", "lacks_a_key")(event.lacks_a_key)
        registry.translates("made_up", "is_unusable")(event.is_unusable)
        registry.translates("made_up", "breaks")(event.breaks)
        registry.translates("made_up", "takes_too_long")(event.takes_too_long)
        registry.translates("made_up_without_action")(event.translate)
        registry.publishes("made_up_and_ignored")
        yield event


def drain(*ids: int, task_id: str = "a task", is_redelivered: bool = False) -> int:
    """What a worker does when a message comes."""
    return worker.drain(ids, task_id=task_id, is_redelivered=is_redelivered)


def drain_slow() -> int:
    """What a worker does when the message for slow deliveries comes."""
    return worker.drain_slow(task_id="a slow task")


def only() -> Delivery:
    """The one delivery there is."""
    return Delivery.objects.get()


def make_due(**changes: Any) -> None:
    """Let the time pass that deliveries wait for."""
    Delivery.objects.update(not_before="2020-01-01T00:00:00Z", **changes)


def expire_leases() -> None:
    """Let every lease run out, as when its worker is gone."""
    Delivery.objects.filter(state="running").update(lease_until="2020-01-01T00:00:00Z")

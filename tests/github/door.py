"""GitHub at the door: posts deliveries to the test client as GitHub posts them."""

from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.test import Client

from apps.demo.deliveries import HOOK_ID, body_of, signed_headers
from apps.demo.organisation import Sent
from apps.demo.shapes import Json

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

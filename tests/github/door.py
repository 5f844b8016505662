"""GitHub at the door: posts deliveries to the test client as GitHub posts them."""

import os
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from django.test import Client

from apps.integrations.story.posting import body_of, signed_headers
from apps.integrations.story.shapes import Json
from apps.integrations.story.telling import Sent

PATH = "/webhooks/github/"


class Door:
    """A GitHub that knows the secret."""

    def __init__(self, secret: str | None = None) -> None:
        self.secret = secret or os.environ["GITHUB_WEBHOOK_SECRETS"].split(",")[0]
        self.client = Client()

    def post(self, event: str, payload: Json, *, guid: str | None = None) -> Any:
        """Deliver one payload; the answer."""
        body = body_of(payload)
        headers = signed_headers(body, secret=self.secret, event=event, guid=guid or str(uuid4()))
        return self.client.post(PATH, data=body, content_type="application/json", headers=dict(headers))

    def deliver(self, story: Iterable[Sent]) -> None:
        """Deliver a story; every one must be accepted."""
        for sent in story:
            answer = self.post(sent.event, sent.payload, guid=sent.guid)
            assert answer.status_code == 202, (sent.event, answer.status_code, answer.content)

"""The App's log of deliveries: what GitHub posted, what it was answered, and sending it again when it is asked to.

An extension of the App's routes: `fake.app.extensions.append(log.answer)`.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from apps.integrations.story.shapes import Json, moment
from apps.integrations.story.telling import Sent
from tests.fake_github.answering import Answered, Asked, Refusal

ROUTE = re.compile(r"/app/hook/deliveries(?:/(\d+)(/attempts)?)?")
HOOK_ID = 292430182
USUAL_PER_PAGE, MOST_PER_PAGE = 30, 100

Post = Callable[[Sent], int]
"""Posts a delivery at the door and tells the status of its answer."""


@dataclass(slots=True)
class Attempt:
    """One attempt at one delivery: the id is the attempt's, the GUID the event's."""

    id: int
    sent: Sent
    status_code: int
    is_redelivery: bool = False


@dataclass(slots=True)
class DeliveryLog:
    """Newest first, page by page; nothing is ever sent again unless somebody asks for it."""

    post: Post
    address: Callable[[], str]
    attempts: list[Attempt] = field(default_factory=list)

    def deliver(self, deliveries: Iterable[Sent], *, post: Post | None = None) -> None:
        """Post deliveries and log what became of them; another `post` may lose them."""
        for sent in deliveries:
            self._log(sent, (post or self.post)(sent))

    def answer(self, asked: Asked) -> Answered | None:
        """The answer to a request about the log; None for any other."""
        match: Any = ROUTE.fullmatch(asked.path)
        if match is None:
            return None
        if match[1] is None:
            return self._page(asked)
        attempt = self._find(int(match[1]))
        if match[2] is None:
            return Answered(200, {**shown(attempt), "request": _request(attempt), "response": _response(attempt)})
        self._log(attempt.sent, self.post(attempt.sent), is_redelivery=True)
        return Answered(202, {})

    def _log(self, sent: Sent, status_code: int, *, is_redelivery: bool = False) -> None:
        self.attempts.append(Attempt(len(self.attempts) + 1, sent, status_code, is_redelivery))

    def _find(self, identity: int) -> Attempt:
        if not 1 <= identity <= len(self.attempts):
            raise Refusal(404, "Not Found")
        return self.attempts[identity - 1]

    def _page(self, asked: Asked) -> Answered:
        size = min(int(asked.query.get("per_page", USUAL_PER_PAGE)), MOST_PER_PAGE)
        below = int(asked.query["cursor"].removeprefix("v1_")) if "cursor" in asked.query else len(self.attempts) + 1
        page = [attempt for attempt in reversed(self.attempts) if attempt.id < below][:size]
        headers = {}
        if page and page[-1].id > 1:
            query = urlencode({**asked.query, "cursor": f"v1_{page[-1].id}"})
            headers["link"] = f'<{self.address()}{asked.path}?{query}>; rel="next"'
        return Answered(200, [shown(attempt) for attempt in page], headers)


def shown(attempt: Attempt) -> Json:
    """An attempt as the list shows it: without its payload."""
    payload = attempt.sent.payload
    is_answered = attempt.status_code > 0
    return {
        "id": attempt.id,
        "guid": attempt.sent.guid,
        "delivered_at": moment(attempt.sent.at),
        "redelivery": attempt.is_redelivery,
        "duration": 0.1,
        "status": HTTPStatus(attempt.status_code).phrase if is_answered else "failed to connect to host",
        "status_code": attempt.status_code,
        "event": attempt.sent.event,
        "action": payload.get("action"),
        "installation_id": payload.get("installation", {}).get("id"),
        "repository_id": payload.get("repository", {}).get("id"),
        "throttled_at": None,
    }


def _request(attempt: Attempt) -> Json:
    headers = {
        "X-GitHub-Delivery": attempt.sent.guid,
        "X-GitHub-Event": attempt.sent.event,
        "X-GitHub-Hook-ID": str(HOOK_ID),
    }
    return {"headers": headers, "payload": attempt.sent.payload}


def _response(attempt: Attempt) -> Json:
    return {"headers": {} if attempt.status_code else None, "payload": ""}

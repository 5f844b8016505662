"""The App's log of deliveries: what GitHub posted, what it was answered, and sending it again when it is asked to.

An extension of the App's routes: `fake.app.extensions.append(log.answer)`, or `keep_log(fake, post=…)`.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from apps.demo.scenario import Sent
from apps.demo.shapes import Json, moment
from tests.fake_github.faults import Answered, Asked, Refusal
from tests.fake_github.server import FakeGitHub

ROUTE = re.compile(r"/app/hook/deliveries(?:/(\d+)(/attempts)?)?")
CURSOR = re.compile(r"v1_(\d+)")
HOOK_ID = 292430182
USUAL_PER_PAGE, MOST_PER_PAGE = 30, 100
RETENTION = timedelta(days=3)

Post = Callable[[Sent], int]
"""Posts a delivery to the receiver and returns the status of its answer."""


@dataclass(slots=True)
class Attempt:
    """One attempt at one delivery: the id is the attempt's, the GUID the event's."""

    id: int
    sent: Sent
    status_code: int
    at: datetime
    hook_id: int
    is_redelivery: bool = False
    throttled_at: datetime | None = None


@dataclass(slots=True)
class DeliveryLog:
    """Newest first, page by page; nothing is ever sent again unless somebody asks for it.

    With a clock, attempts are made when it says and forgotten after `retention`; without, at the story's times and
    never.
    """

    post: Post
    address: Callable[[], str]
    attempts: list[Attempt] = field(default_factory=list)
    hook_id: int = HOOK_ID
    clock: Callable[[], float] | None = None
    retention: timedelta = RETENTION
    answer_while_down: int | None = None
    """What GitHub gets instead of an answer of ours: 0 where nobody listens, 502 or 503 from a proxy."""
    is_slow: bool = False
    """Whether redeliveries that are asked for are put off until `catch_up`, as GitHub makes them a moment later."""
    put_off: list[Sent] = field(default_factory=list)
    never_attempted: list[Sent] = field(default_factory=list)
    without_payload: set[str] = field(default_factory=set)
    """The GUIDs of what GitHub shows without its payload."""

    def deliver(
        self, deliveries: Iterable[Sent], *, post: Post | None = None, throttled_for: timedelta | None = None
    ) -> None:
        """Post deliveries and log what became of them; another `post` may lose them."""
        for sent in deliveries:
            self._attempt(sent, post=post, throttled_for=throttled_for)

    def lose(self, deliveries: Iterable[Sent]) -> None:
        """What GitHub never posts: it is not in the log either."""
        self.never_attempted += deliveries

    @contextmanager
    def outage(self, answer: int = 503) -> Iterator[None]:
        """Meanwhile nothing that is posted comes through."""
        before, self.answer_while_down = self.answer_while_down, answer
        try:
            yield
        finally:
            self.answer_while_down = before

    def catch_up(self) -> int:
        """Make the redeliveries that were asked for; how many."""
        waiting, self.put_off = self.put_off, []
        for sent in waiting:
            self._attempt(sent, is_redelivery=True)
        return len(waiting)

    def kept(self) -> list[Attempt]:
        """What the log still holds, newest first."""
        oldest = None if self.clock is None else self._now() - self.retention
        return [one for one in reversed(self.attempts) if oldest is None or one.at > oldest]

    def answer(self, asked: Asked) -> Answered | None:
        """The answer to a request about the log; None for any other."""
        match: Any = ROUTE.fullmatch(asked.path)
        if match is None:
            return None
        if match[1] is None:
            return self._page(asked)
        attempt = self._find(int(match[1]))
        if match[2] is None:
            return Answered(200, {**shown(attempt), "request": self._request(attempt), "response": _response(attempt)})
        if self.is_slow:
            self.put_off.append(attempt.sent)
        else:
            self._attempt(attempt.sent, is_redelivery=True)
        return Answered(202, {})

    def _attempt(
        self,
        sent: Sent,
        *,
        post: Post | None = None,
        throttled_for: timedelta | None = None,
        is_redelivery: bool = False,
    ) -> None:
        down = self.answer_while_down
        status_code = (post or self.post)(sent) if down is None else down
        at = sent.at if self.clock is None else self._now()
        throttled_at = None if throttled_for is None else at - throttled_for
        self.attempts.append(
            Attempt(len(self.attempts) + 1, sent, status_code, at, self.hook_id, is_redelivery, throttled_at)
        )

    def _now(self) -> datetime:
        assert self.clock is not None
        return datetime.fromtimestamp(self.clock(), UTC)

    def _find(self, identity: int) -> Attempt:
        for attempt in self.kept():
            if attempt.id == identity:
                return attempt
        raise Refusal(404, "Not Found")

    def _page(self, asked: Asked) -> Answered:
        size = min(int(asked.query.get("per_page", USUAL_PER_PAGE)), MOST_PER_PAGE)
        below = [one for one in self.kept() if one.id < self._cursor(asked)]
        page = below[:size]
        headers = {}
        if len(below) > size:
            query = urlencode({**asked.query, "cursor": f"v1_{page[-1].id}"})
            headers["link"] = f'<{self.address()}{asked.path}?{query}>; rel="next"'
        return Answered(200, [shown(attempt) for attempt in page], headers)

    def _cursor(self, asked: Asked) -> int:
        if "cursor" not in asked.query:
            return len(self.attempts) + 1
        match = CURSOR.fullmatch(asked.query["cursor"])
        if match is None:
            raise Refusal(422, "Invalid cursor")
        return int(match[1])

    def _request(self, attempt: Attempt) -> Json:
        headers = {
            "Content-Type": "application/json",
            "X-GitHub-Delivery": attempt.sent.guid,
            "X-GitHub-Event": attempt.sent.event,
            "X-GitHub-Hook-ID": str(attempt.hook_id),
        }
        is_gone = attempt.sent.guid in self.without_payload
        return {"headers": headers, "payload": None if is_gone else attempt.sent.payload}


def keep_log(fake: FakeGitHub, *, post: Post, **about: Any) -> DeliveryLog:
    """The log of a fake GitHub, by its clock."""
    log = DeliveryLog(post=post, address=lambda: fake.url, clock=fake.clock, **about)
    fake.app.extensions.append(log.answer)
    return log


def shown(attempt: Attempt) -> Json:
    """An attempt as the list shows it: without its payload."""
    payload = attempt.sent.payload
    is_answered = attempt.status_code > 0
    return {
        "id": attempt.id,
        "guid": attempt.sent.guid,
        "delivered_at": moment(attempt.at),
        "redelivery": attempt.is_redelivery,
        "duration": 0.1,
        "status": HTTPStatus(attempt.status_code).phrase if is_answered else "failed to connect to host",
        "status_code": attempt.status_code,
        "event": attempt.sent.event,
        "action": payload.get("action"),
        "installation_id": payload.get("installation", {}).get("id"),
        "repository_id": payload.get("repository", {}).get("id"),
        "throttled_at": None if attempt.throttled_at is None else moment(attempt.throttled_at),
    }


def _response(attempt: Attempt) -> Json:
    return {"headers": {} if attempt.status_code else None, "payload": ""}

"""A request as the fake sees it, what it answers, and what can go wrong on the way, each as often as it is asked to."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Asked:
    """One HTTP request."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    document: Any = None

    @property
    def is_graphql(self) -> bool:
        return self.path == "/graphql"

    @property
    def resource(self) -> str:
        return "graphql" if self.is_graphql else "core"


@dataclass(slots=True)
class Answered:
    """One HTTP answer; text stands for itself, everything else is sent as JSON."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        if self.body is None:
            return b""
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()

    @property
    def content_type(self) -> str:
        return "text/html; charset=utf-8" if isinstance(self.body, str) else "application/json; charset=utf-8"


class Refusal(Exception):  # noqa: N818  ends the handling of a request with its answer
    """GitHub says no."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        body = {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
        self.answer = Answered(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


HTML = "<!DOCTYPE html><html><body><h1>Whoa there!</h1><p>We had issues producing the response.</p></body></html>"
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."

Matches = Callable[[Asked], bool]
Change = Callable[[Asked, Answered], Answered | None]


@dataclass(slots=True)
class Fault:
    """Spoils the answers to matching requests; `times` of None is forever. An answer of None drops the connection."""

    change: Change
    matches: Matches
    times: int | None = 1
    is_instead: bool = True
    """Whether GitHub never gets to the answer that is spoilt."""


def graphql(asked: Asked) -> bool:
    return asked.is_graphql


def rest(asked: Asked) -> bool:
    return not asked.is_graphql and not asked.path.startswith("/app")


def below(path: str) -> Matches:
    return lambda asked: asked.path.startswith(path)


def larger_than(first: int) -> Matches:
    """GraphQL pages of more than so many, whichever variable says it."""
    return lambda asked: asked.is_graphql and (asked.document["variables"].get("first") or 0) > first


def status(code: int, body: Any = HTML, **headers: str) -> Change:
    """Any answer instead, by default a page in HTML."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda asked, answer: Answered(code, body, dict(named))


def secondary(*, retry_after_s: int | None = None, code: int = 403) -> Change:
    headers = {} if retry_after_s is None else {"retry_after": str(retry_after_s)}
    return status(code, {"message": SECONDARY}, **headers)


def graphql_errors(*errors: Mapping[str, Any], data: Any = None) -> Change:
    return status(200, {"data": data, "errors": [dict(error) for error in errors]})


def too_heavy() -> Change:
    """The query was cut off by what it costs GitHub."""
    message = "Resource limits for this query exceeded."
    return graphql_errors({"type": "RESOURCE_LIMITS_EXCEEDED", "message": message})


def hole(place: int = 0) -> Change:
    """A null where a pull request should be."""

    def change(asked: Asked, answer: Answered) -> Answered:
        answer.body["data"]["repository"]["pullRequests"]["nodes"][place] = None
        return answer

    return change


def poison(number: int) -> Change:
    """No page that holds this pull request ever comes back, however small it is."""

    def change(asked: Asked, answer: Answered) -> Answered:
        found = ((answer.body.get("data") or {}).get("repository") or {}).get("pullRequests") or {}
        is_there = any(node["number"] == number for node in found.get("nodes") or ())
        return Answered(502, HTML) if is_there else answer

    return change


def slow(seconds: float) -> Change:
    def change(asked: Asked, answer: Answered) -> Answered:
        time.sleep(seconds)
        return answer

    return change


def hang_up() -> Change:
    return lambda asked, answer: None

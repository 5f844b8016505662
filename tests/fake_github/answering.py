"""A request as the fake sees it, and what it answers."""

import json
from collections.abc import Mapping
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

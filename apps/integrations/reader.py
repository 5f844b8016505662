"""Reading GitHub page by page: the request for a page, the page, and a reader that counts the cost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from apps.activity.facts import Fact
from apps.github.auth import GitHubAccess
from apps.github.graphql_documents import document
from apps.github.rate_limit import Purpose
from apps.github.responses import Answer, ResponseKind, Result


class RequestFailedError(Exception):
    """GitHub did not give what was asked for; `answer` says why, and when to ask again."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.message)
        self.answer = answer


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """The next page of a stream, and what it is to contain.

    `since` bounds what was updated, `until` what was created; None is no bound. `started_at` is when reading began.
    `cursor` is the stream's own, empty at the start; `page_size` is how many items to ask for at once.
    """

    repository_id: int
    full_name: str
    since: datetime | None
    until: datetime | None
    started_at: datetime
    cursor: str
    page_size: int

    @property
    def owner(self) -> str:
        return self.full_name.partition("/")[0]

    @property
    def name(self) -> str:
        return self.full_name.partition("/")[2]

    @property
    def address(self) -> str:
        """Return the repository's path in REST: by its id, for another may have its name by now."""
        return f"/repositories/{self.repository_id}"


def ensure_same_repository(answer: Answer, *, repository_id: object, request: PageRequest) -> None:
    """Raise RequestFailedError, as if it were gone, if the answer is about another repository than the request's."""
    if repository_id != request.repository_id:
        message = f"{request.full_name} is another repository by now"
        raise RequestFailedError(replace(answer, result=Result(kind=ResponseKind.GONE, message=message), data=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Something that GitHub could not show; reading continued without it."""

    what: str
    """Such as `pull request 17`."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The result of one request or a few, and the cursor where reading continues: None at the end.

    What a page leaves unfinished of an item is in its cursor. `items` counts what
    the page brought, `total` all there is as far as GitHub says.
    """

    facts: tuple[Fact, ...]
    cursor: str | None
    items: int
    total: int | None = None
    skipped: tuple[Skipped, ...] = ()


@dataclass(slots=True, kw_only=True)
class Reader:
    """Reads GitHub for one job and counts the cost; any answer without data raises RequestFailedError."""

    access: GitHubAccess
    installation_id: int
    purpose: Purpose
    calls: int = 0
    points: int = 0
    up_next: str | None = None
    """The subject that waited when the latest answer came."""

    def graphql(self, name: str, variables: Mapping[str, Any]) -> Answer:
        """Run the document of this name; OK or PARTIAL, with data."""
        return self.query(document(name), variables)

    def query(self, text: str, variables: Mapping[str, Any]) -> Answer:
        """Run a document that is put together for this request."""
        answer = self.access.graphql(text, variables, installation_id=self.installation_id, purpose=self._purpose_now())
        return self._counted(answer, cost=_cost(answer))

    def get(self, path: str, parameters: Mapping[str, Any] | None = None) -> Answer:
        """Read a path below the API's address."""
        answer = self.access.get(
            path, installation_id=self.installation_id, purpose=self._purpose_now(), parameters=parameters
        )
        return self._counted(answer, cost=1)

    def _purpose_now(self) -> Purpose:
        """Return the purpose: later requests continue the first, because an interrupted page is read twice."""
        return replace(self.purpose, continues=self.calls > 0)

    def _counted(self, answer: Answer, *, cost: int) -> Answer:
        if answer.kind is not ResponseKind.DEFERRED:
            self.calls += 1
            self.points += cost
        if answer.kind not in {ResponseKind.OK, ResponseKind.PARTIAL}:
            raise RequestFailedError(answer)
        self.up_next = answer.up_next
        return answer


def _cost(answer: Answer) -> int:
    limit = answer.data.get("rateLimit") if isinstance(answer.data, Mapping) else None
    cost = limit.get("cost") if isinstance(limit, Mapping) else None
    return cost if isinstance(cost, int) else 1


class StreamReader(Protocol):
    """An object that reads one stream page by page."""

    @property
    def page_size(self) -> int:
        """Return how many items to ask for at first."""

    @property
    def most(self) -> int:
        """Return how many at the most, once GitHub has shown that it can."""

    @property
    def read(self) -> Callable[[PageRequest, Reader], Page]:
        """Return the page at the cursor; RequestFailedError where GitHub does not give it."""

    @property
    def skip_item(self) -> Callable[[PageRequest, Reader], Page]:
        """Return the one item at the cursor that is too much for a page of one: read in another way, else skipped."""


LONGEST = 500


def storable(words: str) -> str:
    """Return the beginning of a text of GitHub's, in characters that PostgreSQL takes."""
    return words[:LONGEST].replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")

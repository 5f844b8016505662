"""Walking in tests: from page to page, each kept before the next, as a backfill does it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from apps.activity.facts import Source, evidence
from apps.activity.record import record
from apps.github.auth import GitHubAccess
from apps.github.responses import Kind
from apps.integrations.reader import Page, PageRequest, Reader, RequestFailedError, Skipped, StreamReader
from apps.integrations.streams.pull_request_parts import PullRequestCursor
from apps.integrations.streams.pull_requests import PULL_REQUESTS
from tests.fake_github.using import ACME, API, BACKFILL


def request(**about: Any) -> PageRequest:
    """A walk through everything in the repository of most tests."""
    usual: dict[str, Any] = {
        "repository_id": API,
        "full_name": "acme/api",
        "since": None,
        "until": None,
        "started_at": datetime.now(UTC),
        "cursor": "",
        "page_size": 25,
    }
    return PageRequest(**{**usual, **about})


@dataclass(slots=True)
class Walked:
    """What came of a walk."""

    pages: list[Page] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def items(self) -> int:
        return sum(page.items for page in self.pages)


def reader_of(worker: GitHubAccess) -> Reader:
    return Reader(access=worker, installation_id=ACME, purpose=BACKFILL)


def read_without_graphql(request: PageRequest, reader: Reader) -> Page:
    """As if GraphQL could not show a single one."""
    is_pending = bool(request.cursor) and bool(PullRequestCursor.from_text(request.cursor).pending)
    return PULL_REQUESTS.read(request, reader) if is_pending else PULL_REQUESTS.skip_item(request, reader)


def walk_through(
    worker: GitHubAccess,
    request: PageRequest,
    *,
    by: StreamReader | None = None,
    between: Callable[[int], None] = lambda pages: None,
) -> Walked:
    """Every page to the end; where GitHub cannot, half as much is asked for, and one alone is stepped over."""
    walk, walked, steps_over, usual = by or PULL_REQUESTS, Walked(), False, request.page_size
    while True:
        reader = reader_of(worker)
        try:
            page = walk.skip_item(request, reader) if steps_over else walk.read(request, reader)
        except RequestFailedError as unanswered:
            if unanswered.answer.kind is not Kind.SHRINK or steps_over:
                raise
            steps_over = request.page_size == 1
            request = replace(request, page_size=max(1, request.page_size // 2))
            continue
        if steps_over:
            steps_over, request = False, replace(request, page_size=usual)
        record([evidence(Source(kind="api", key="backfill"), page.facts)])
        walked.pages.append(page)
        walked.skipped += page.skipped
        between(len(walked.pages))
        if page.cursor is None:
            return walked
        request = replace(request, cursor=page.cursor)

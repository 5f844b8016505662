"""Going a walk in tests as a worker would: each page's facts are recorded, then its cursor counts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.db import transaction

from apps.activity.facts import Source, evidence
from apps.activity.record import record
from apps.github.auth import GitHubAccess
from apps.integrations.reader import Page, PageRequest, Reader, Skipped, StreamReader
from tests.fake_github.using import ACME, API, BACKFILL


@dataclass(slots=True)
class Walked:
    """What came of a walk."""

    pages: list[Page] = field(default_factory=list)
    cursors: list[str] = field(default_factory=list)
    """Where each page was asked for."""
    calls: int = 0
    points: int = 0

    @property
    def skipped(self) -> list[Skipped]:
        return [one for page in self.pages for one in page.skipped]

    @property
    def items(self) -> int:
        return sum(page.items for page in self.pages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walker:
    """Somebody who goes a walk through one repository."""

    worker: GitHubAccess
    walk: StreamReader
    repository_id: int = API
    full_name: str = "acme/api"
    installation_id: int = ACME
    since: datetime | None = None
    until: datetime | None = None
    page_size: int | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def request(self, cursor: str = "") -> PageRequest:
        return PageRequest(
            repository_id=self.repository_id,
            full_name=self.full_name,
            since=self.since,
            until=self.until,
            started_at=self.started_at,
            cursor=cursor,
            page_size=self.page_size or self.walk.page_size,
        )

    def reader(self) -> Reader:
        return Reader(access=self.worker, installation_id=self.installation_id, purpose=BACKFILL)

    def steps(self, cursor: str = "") -> Iterator[tuple[str, Page, Reader]]:
        """Page by page from the cursor on, each recorded; every step with a reader of its own."""
        then: str | None = cursor
        while then is not None:
            reader = self.reader()
            page = self.walk.read(self.request(then), reader)
            keep(page)
            yield then, page, reader
            then = page.cursor

    def go(self, cursor: str = "") -> Walked:
        """To the end."""
        walked = Walked()
        for asked, page, reader in self.steps(cursor):
            walked.cursors.append(asked)
            walked.pages.append(page)
            walked.calls += reader.calls
            walked.points += reader.points
        return walked


def keep(page: Page) -> None:
    """Record the page as one transaction."""
    with transaction.atomic():
        record([evidence(Source(kind="api", key="backfill"), page.facts)])

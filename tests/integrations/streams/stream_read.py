"""Reading a stream of the fake GitHub in tests page by page, as a backfill does: read, record, go on."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from apps.activity.facts import Evidence, Source, evidence
from apps.activity.record import record
from apps.github.auth import GitHubAccess
from apps.github.responses import ResponseKind
from apps.integrations.reader import Page, PageRequest, Reader, RequestFailedError, Skipped
from apps.integrations.streams import STREAMS
from apps.integrations.streams.stream import Stream
from tests.activity.tables import clear
from tests.fake_github.using import ACME, API, BACKFILL, WEB
from tests.integrations.true_rows import in_order

UNWELL = {ResponseKind.SHRINK, ResponseKind.TRANSIENT}


@dataclass(slots=True)
class History:
    """What came of reading to the end; `cursors` say where each page was asked for."""

    pages: list[Page] = field(default_factory=list)
    cursors: list[str] = field(default_factory=list)
    calls: int = 0
    points: int = 0

    @property
    def skipped(self) -> list[Skipped]:
        return [one for page in self.pages for one in page.skipped]

    @property
    def items(self) -> int:
        return sum(page.items for page in self.pages)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRead:
    """A stream of a repository, read within these bounds, so much at once."""

    stream: Stream
    worker: GitHubAccess
    repository_id: int = API
    full_name: str = "acme/api"
    size: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    def of_web(cls, stream: str | Stream, worker: GitHubAccess, **about: Any) -> "StreamRead":
        """A stream of `acme/web`."""
        found = STREAMS[stream] if isinstance(stream, str) else stream
        return cls(stream=found, worker=worker, **{"repository_id": WEB, "full_name": "acme/web", **about})

    def request(self, cursor: str = "", *, size: int | None = None) -> PageRequest:
        return PageRequest(
            repository_id=self.repository_id,
            full_name=self.full_name,
            since=self.since,
            until=self.until,
            started_at=self.started_at,
            cursor=cursor,
            page_size=size or self.size or self.stream.page_size,
        )

    def reader(self) -> Reader:
        return Reader(access=self.worker, installation_id=ACME, purpose=BACKFILL)

    def read(self, cursor: str = "") -> Page:
        return self.stream.read(self.request(cursor), self.reader())

    def skip_item(self, cursor: str = "") -> Page:
        return self.stream.skip_item(self.request(cursor, size=1), self.reader())

    def pages(self, cursor: str | None = "") -> Iterator[Page]:
        """Every page from the cursor on; none is recorded."""
        while cursor is not None:
            page = self.read(cursor)
            yield page
            assert page.cursor != cursor
            cursor = page.cursor

    def steps(self, cursor: str = "") -> Iterator[tuple[str, Page, Reader]]:
        """Page by page from the cursor on, each recorded; every step with a reader of its own."""
        then: str | None = cursor
        while then is not None:
            reader = self.reader()
            page = self.stream.read(self.request(then), reader)
            record_page(page)
            yield then, page, reader
            then = page.cursor

    def to_end(self, cursor: str = "") -> History:
        """Read and record every page from the cursor on."""
        history = History()
        for asked, page, reader in self.steps(cursor):
            history.cursors.append(asked)
            history.pages.append(page)
            history.calls += reader.calls
            history.points += reader.points
        return history

    def into_empty_tables(self) -> list[Page]:
        clear()
        return self.to_end().pages

    def patiently(self, cursor: str = "", *, between: Callable[[int], None] = lambda pages: None) -> History:
        """Read and record every page; one that does not come is asked for in halves, and at one item skipped."""
        history = History()
        while True:
            page = self._patient_page(cursor)
            record_page(page)
            history.pages.append(page)
            between(len(history.pages))
            if page.cursor is None:
                return history
            cursor = page.cursor

    def _patient_page(self, cursor: str) -> Page:
        size = self.request().page_size
        while size:
            try:
                return replace(self, size=size).read(cursor)
            except RequestFailedError as refusal:
                if refusal.answer.kind not in UNWELL:
                    raise
                size //= 2
        return self.skip_item(cursor)

    def evidence(self, pages: Iterable[Page]) -> list[Evidence]:
        return [evidence(Source(kind="api", key=self.stream.name), page.facts) for page in pages]


def record_page(page: Page) -> None:
    """Record the page as one transaction."""
    record([evidence(Source(kind="api", key="backfill"), page.facts)])


def skipped(pages: Iterable[Page]) -> list[Skipped]:
    return [each for page in pages for each in page.skipped]


def rows(model: Any, **conditions: Any) -> list[dict[str, Any]]:
    """What the table holds, without surrogate ids, without what webhooks alone say, and without the stamps, which say
    when something was seen."""
    left_out = {"id", "in_progress_at"}
    names = [
        field.attname
        for field in model._meta.concrete_fields
        if field.name not in left_out and "stamp" not in field.name
    ]
    return in_order(model.objects.filter(**conditions).values(*names))

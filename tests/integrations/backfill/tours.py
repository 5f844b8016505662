"""Walking a stream of the fake GitHub page by page, as the engine would: read, record, go on."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from apps.activity.facts import Evidence, Source, evidence
from apps.activity.record import record
from apps.github.auth import GitHubAccess
from apps.github.responses import Kind
from apps.integrations.reader import Page, PageRequest, Reader, RequestFailedError, Skipped
from apps.integrations.streams import STREAMS
from tests.activity.tables import clear
from tests.fake_github.using import ACME, API, BACKFILL
from tests.github.times import at

BEGINNING = at("03-01", "09:00")
UNWELL = {Kind.SHRINK, Kind.TRANSIENT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tour:
    """A walk that a test makes: which stream, of which repository, how much of it at once."""

    stream: str
    worker: GitHubAccess
    repository_id: int = API
    full_name: str = "acme/api"
    size: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    def request(self, cursor: str = "") -> PageRequest:
        return PageRequest(
            repository_id=self.repository_id,
            full_name=self.full_name,
            since=self.since,
            until=self.until,
            started_at=BEGINNING,
            cursor=cursor,
            page_size=self.size or STREAMS[self.stream].page_size,
        )

    def reader(self) -> Reader:
        return Reader(access=self.worker, installation_id=ACME, purpose=BACKFILL)

    def read(self, cursor: str = "") -> Page:
        return STREAMS[self.stream].read(self.request(cursor), self.reader())

    def skip_item(self, cursor: str = "") -> Page:
        return STREAMS[self.stream].skip_item(replace(self.request(cursor), page_size=1), self.reader())

    def pages(self, cursor: str | None = "") -> Iterator[Page]:
        """Every page from the cursor on."""
        while cursor is not None:
            page = self.read(cursor)
            yield page
            assert page.cursor != cursor
            cursor = page.cursor

    def patient_pages(self) -> Iterator[Page]:
        """Every page; one that GitHub does not show is asked for in halves, and at one item stepped over."""
        cursor: str | None = ""
        while cursor is not None:
            page = self._patient_page(cursor)
            yield page
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

    def told(self, pages: Iterable[Page]) -> list[Evidence]:
        return [evidence(Source(kind="api", key=self.stream), page.facts) for page in pages]

    def walk(self) -> list[Page]:
        """Walk to the end and record all of it, page by page, into empty tables."""
        clear()
        pages = list(self.pages())
        for piece in self.told(pages):
            record([piece])
        return pages


def skipped(pages: Iterable[Page]) -> list[Skipped]:
    return [each for page in pages for each in page.skipped]


def rows(model: Any, **conditions: Any) -> list[dict[str, Any]]:
    """What the table holds, without surrogate ids, and without the stamps, which tell when something was seen."""
    names = [field.attname for field in model._meta.concrete_fields if field.name != "id" and "stamp" not in field.name]
    return sorted(model.objects.filter(**conditions).values(*names), key=lambda row: repr(sorted(row.items())))

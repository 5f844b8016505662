"""Walking a REST listing in the order of `updated_at`, as deep as it goes: GitHub shows 300 pages of any one listing.

So each page is a new listing, of what was updated since the last time seen. What is updated meanwhile comes again at
the end. GitHub's words for `since`, "after the given time", leave open whether that
time itself is in it: we ask from a second earlier, and some items come twice, which is harmless. What was seen of a
listing is asked for again with what follows, as nothing says that it was not deleted meanwhile, which would move the
others. Only where more was updated within a second or two than a page holds are its further pages turned; if the item
before a page is not the one that was seen there, that listing is walked again.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from apps.activity.facts import Fact
from apps.github.answers import Answer
from apps.github.payload import PayloadReader, parse_time, write_time
from apps.integrations.reader import Page, PageRequest, Reader, Skipped
from apps.integrations.streams.paging import gather, is_wanted, read_alone, rows

MOST_PAGES = 300
MOST_AT_ONCE = 100
MOST_RETURNS = 3
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One page of a listing; its first `known` items were seen already."""

    size: int
    page: int
    known: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a walk is: `seen` items into the listing of what was updated since `since`.

    `last` is the id of the last of them, 0 where it is not known; `returns` counts how often the walk went back to the
    first. `is_around`: an item was asked for alone, so the pages from the first on are not to be asked for again.
    """

    since: datetime | None
    seen: int = 0
    last: int = 0
    returns: int = 0
    is_around: bool = False

    @classmethod
    def of(cls, request: PageRequest) -> "Place":
        if not request.cursor:
            return cls(since=request.since)
        since, *numbers = request.cursor.split(" ")
        seen, last, returns, is_around = (*map(int, numbers), 0, 0, 0)[:4]
        return cls(since=parse_time(since), seen=seen, last=last, returns=returns, is_around=bool(is_around))

    @property
    def time(self) -> str:
        return write_time(self.since) if self.since else ""

    @property
    def cursor(self) -> str:
        return f"{self.time} {self.seen} {self.last} {self.returns} {int(self.is_around)}"

    def next(self, size: int) -> Asked:
        """The page to ask for: from the first item on as long as one page holds it, for then nothing can slip by."""
        if self.seen < MOST_AT_ONCE and not self.is_around:
            return Asked(size=min(MOST_AT_ONCE, self.seen + size), page=1, known=self.seen)
        return self.turned(size)

    def turned(self, size: int) -> Asked:
        """The page of this size that holds the first item not seen."""
        return Asked(size=size, page=self.seen // size + 1, known=self.seen % size)

    def parameters(self, asked: Asked) -> dict[str, Any]:
        since = {"since": self.time} if self.since else {}
        return {"sort": "updated", "direction": "asc", "per_page": asked.size, "page": asked.page, **since}

    def after(self, asked: Asked, *, found: Sequence[Any]) -> "Place":
        """The place behind the page: always a later one."""
        times = tuple(_times(found))
        latest = max(times, default=None)
        since = latest - SECOND if latest else None
        if since is not None and (self.since is None or since > self.since):
            return Place(since=since, seen=sum(time >= since for time in times), last=_last_of(found))
        return replace(self, seen=asked.page * asked.size, last=_last_of(found))

    def first(self) -> "Place":
        """The first item of the same listing once more."""
        return Place(since=self.since, returns=self.returns + 1)


@dataclass(slots=True, kw_only=True)
class Keyset:
    """The walk through one listing of a repository. `facts_of` reads an item, given the repository's id."""

    path: str
    noun: str
    facts_of: Callable[[PayloadReader, int], Iterable[Fact]]
    page_size: int = 100
    most: int = 100

    def read(self, request: PageRequest, reader: Reader) -> Page:
        place = Place.of(request)
        asked = place.next(request.page_size)
        if asked.page > MOST_PAGES:
            return self._beyond(place)
        answer = reader.get(f"{request.address}{self.path}", place.parameters(asked))
        return self._page(answer, request, place=place, asked=asked, reader=reader)

    def step_over(self, request: PageRequest, reader: Reader) -> Page:
        place = replace(Place.of(request), is_around=True)
        asked = place.turned(1)
        what = f"{self.noun} {place.seen + 1} of those updated since {place.time or 'the beginning'}"
        answer = read_alone(self.path, what=what, request=request, reader=reader, parameters=place.parameters(asked))
        if isinstance(answer, Skipped):
            behind = place.after(asked, found=())
            return Page(facts=(), cursor=behind.cursor, items=0, skipped=(answer,))
        return self._page(answer, request, place=place, asked=asked, reader=reader)

    def _page(self, answer: Answer, request: PageRequest, *, place: Place, asked: Asked, reader: Reader) -> Page:
        found = rows(answer)
        gathered = gather(
            found, answer=answer, noun=self.noun, key="id", facts_of=lambda comment: self._facts(comment, request)
        )
        page = Page(
            facts=gathered.facts,
            cursor=place.after(asked, found=found).cursor if answer.next_path else None,
            items=max(0, len(found) - asked.known),
            skipped=gathered.skipped,
        )
        before = self._before(found, request, place=place, asked=asked, reader=reader)
        return page if before == place.last else self._moved(page, place=place)

    def _before(self, found: Sequence[Any], request: PageRequest, *, place: Place, asked: Asked, reader: Reader) -> int:
        """The id of the item before the new ones, asked for last: what is gone by then was not missed before."""
        if asked.page == 1 or not place.last:
            return place.last
        if asked.known:
            return _last_of(found[: asked.known])
        before = replace(asked, page=asked.page - 1)
        return _last_of(rows(reader.get(f"{request.address}{self.path}", place.parameters(before))))

    def _moved(self, page: Page, *, place: Place) -> Page:
        """Items that were seen are gone from the listing, and others slipped by: it is walked again from its first."""
        if place.returns < MOST_RETURNS:
            return replace(page, cursor=place.first().cursor, items=0)
        what = f"{self.noun}s before number {place.seen} of those updated since {place.time or 'the beginning'}"
        skipped = Skipped(what=what, why=f"the listing changed during each of {MOST_RETURNS + 1} readings")
        return replace(page, skipped=(*page.skipped, skipped))

    def _facts(self, item: PayloadReader, request: PageRequest) -> Iterable[Fact]:
        return self.facts_of(item, request.repository_id) if is_wanted(item, request) else ()

    def _beyond(self, place: Place) -> Page:
        """More was updated within a second than GitHub lists: on to the next one."""
        what = f"{self.noun}s updated at {place.time} beyond the first {place.seen}"
        behind = Place(since=place.since + SECOND if place.since else None)
        skipped = Skipped(what=what, why=f"GitHub lists no more than {MOST_PAGES} pages")
        return Page(facts=(), cursor=behind.cursor if behind.since else None, items=0, skipped=(skipped,))


def _times(items: Iterable[Any]) -> Iterable[datetime]:
    for item in items:
        moment = parse_time(item.get("updated_at")) if isinstance(item, dict) else None
        if moment is not None:
            yield moment


def _last_of(items: Sequence[Any]) -> int:
    last = items[-1].get("id") if items and isinstance(items[-1], dict) else None
    return last if isinstance(last, int) else 0

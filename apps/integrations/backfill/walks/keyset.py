"""Walking a REST listing in the order of `updated_at`, as deep as it goes: GitHub shows 300 pages of any one listing.

So each page is a new listing, of what was updated since the last time seen. What is updated meanwhile comes again at
the end, and no page moves under the walk. GitHub's words for `since`, "after the given time", leave open whether that
time itself is in it: we ask from a second earlier, and some items come twice, which is harmless. Only where so much was
updated within a second or two that a page does not get past it are its further pages turned.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from apps.activity.facts import Fact
from apps.integrations.backfill.walking import Errand, Page, Reader, Skipped
from apps.integrations.backfill.walks.alone import read_alone
from apps.integrations.backfill.walks.lists import gather, is_wanted, rows
from apps.integrations.github.answers import Answer
from apps.integrations.github.reading import Reading, parse_time, write_time

MOST_PAGES = 300
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a walk is: `seen` items into the listing of what was updated since `since`."""

    since: datetime | None
    seen: int = 0

    @classmethod
    def of(cls, errand: Errand) -> "Place":
        if not errand.cursor:
            return cls(since=errand.since)
        since, _, seen = errand.cursor.rpartition(" ")
        return cls(since=parse_time(since), seen=int(seen))

    @property
    def time(self) -> str:
        return write_time(self.since) if self.since else ""

    @property
    def cursor(self) -> str:
        return f"{self.time} {self.seen}"

    def page(self, size: int) -> int:
        """The page to ask for; its first items were seen already where the size was changed."""
        return self.seen // size + 1

    def parameters(self, size: int) -> dict[str, Any]:
        since = {"since": self.time} if self.since else {}
        return {"sort": "updated", "direction": "asc", "per_page": size, "page": self.page(size), **since}

    def known(self, size: int) -> int:
        """How many of the page were seen already."""
        return self.seen % size

    def after(self, times: Sequence[datetime], *, size: int) -> "Place":
        """The place behind a page with these times: always a later one."""
        latest = max(times, default=None)
        since = latest - SECOND if latest else None
        if since is not None and (self.since is None or since > self.since):
            return Place(since=since, seen=sum(time >= since for time in times))
        return Place(since=self.since, seen=self.page(size) * size)


@dataclass(slots=True, kw_only=True)
class Keyset:
    """The walk through one listing of a repository. `facts_of` reads an item, given the repository's id."""

    path: str
    noun: str
    facts_of: Callable[[Reading, int], Iterable[Fact]]
    page_size: int = 100
    most: int = 100

    def read(self, errand: Errand, reader: Reader) -> Page:
        place, size = Place.of(errand), errand.page_size
        if place.page(size) > MOST_PAGES:
            return self._beyond(place)
        answer = reader.get(f"{errand.address}{self.path}", place.parameters(size))
        return self._page(answer, errand, place=place, size=size)

    def step_over(self, errand: Errand, reader: Reader) -> Page:
        place = Place.of(errand)
        what = f"{self.noun} {place.seen + 1} of those updated since {place.time or 'the beginning'}"
        answer = read_alone(self.path, what=what, errand=errand, reader=reader, parameters=place.parameters(1))
        if isinstance(answer, Skipped):
            behind = place.after((), size=1)
            return Page(facts=(), cursor=behind.cursor, items=0, skipped=(answer,))
        return self._page(answer, errand, place=place, size=1)

    def _page(self, answer: Answer, errand: Errand, *, place: Place, size: int) -> Page:
        found = rows(answer)
        gathered = gather(
            found, answer=answer, noun=self.noun, key="id", facts_of=lambda comment: self._facts(comment, errand)
        )
        behind = place.after(tuple(_times(found)), size=size)
        return Page(
            facts=gathered.facts,
            cursor=behind.cursor if answer.next_path else None,
            items=max(0, len(found) - place.known(size)),
            skipped=gathered.skipped,
        )

    def _facts(self, item: Reading, errand: Errand) -> Iterable[Fact]:
        return self.facts_of(item, errand.repository_id) if is_wanted(item, errand) else ()

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

"""A page of one of GitHub's lists: what is on it, where the list continues, and the facts of each item."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from apps.activity.facts import Fact
from apps.github.payload import PayloadReader, parse_time, write_time
from apps.github.responses import REFUSALS, Answer, ResponseKind
from apps.integrations.reader import Page, PageRequest, Reader, RequestFailedError, Skipped, ensure_same_repository
from apps.webhooks.parsing import UnusablePayloadError

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """A page of a GraphQL list: its nodes, how many there are in all, and the cursor to continue from, if any."""

    nodes: tuple[Any, ...]
    total: int | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """What items came to."""

    facts: tuple[Fact, ...] = ()
    skipped: tuple[Skipped, ...] = ()


def read_repository(answer: Answer, request: PageRequest) -> PayloadReader:
    """Return the repository of a GraphQL answer; RequestFailedError where another one has the request's name by now."""
    found = item_reader(answer.data, path="data", answer=answer).child("repository")
    ensure_same_repository(answer, repository_id=found.id("databaseId"), request=request)
    return found


def read_list(connection: PayloadReader) -> ListPage:
    """Return the page of a GraphQL list."""
    info = connection.child("pageInfo")
    return ListPage(
        nodes=connection.members("nodes"),
        total=connection.count("totalCount"),
        after=info.text("endCursor") if info.flag("hasNextPage") else None,
    )


def read_rows(answer: Answer) -> tuple[Any, ...]:
    """Return the objects of a REST listing."""
    if not isinstance(answer.data, list):
        raise UnusablePayloadError("shape_mismatch", f"the listing is {type(answer.data).__name__}, not a list")
    return tuple(answer.data)


def item_reader(shaped: object, *, path: str, answer: Answer) -> PayloadReader:
    """Return an object of REST's shape, as it was when GitHub answered."""
    return PayloadReader(
        shaped, path=path, arrived_at=answer.observed_at or timezone.now(), observed_at=answer.observed_at
    )


def is_wanted(item: PayloadReader, request: PageRequest) -> bool:
    """Return whether it was created no later than the request goes."""
    return request.until is None or item.time("created_at") <= request.until


def read_items(
    items: Iterable[Any],
    *,
    answer: Answer,
    noun: str,
    key: str,
    facts_of: Callable[[PayloadReader], Iterable[Fact]],
    shape: Callable[[Item], Item] = dict,
) -> Items:
    """Return the facts of all items, once `shape` has given them REST's shape.

    One that cannot be used is named by its `key` and left out, its neighbours are kept.
    """
    facts, skipped = list[Fact](), list[Skipped]()
    for item in items:
        try:
            shaped = shape(_object(item, answer=answer))
            facts += list(facts_of(item_reader(shaped, path=noun.replace(" ", "_"), answer=answer)))
        except UnusablePayloadError as error:
            name = item.get(key) if isinstance(item, Mapping) else f"of unknown {key}"
            skipped.append(Skipped(what=f"{noun} {name}", why=str(error)))
    return Items(facts=tuple(facts), skipped=tuple(skipped))


def _object(item: Any, *, answer: Answer) -> Item:
    """Return the item; null is what GitHub left out, with its message next to the data."""
    if not isinstance(item, Mapping):
        raise UnusablePayloadError("not_shown", answer.message or f"it is {type(item).__name__}, not an object")
    return item


FAILING = {ResponseKind.TRANSIENT, ResponseKind.SHRINK}


def request_item(
    path: str, *, what: str, request: PageRequest, reader: Reader, parameters: Mapping[str, Any] | None = None
) -> Answer | Skipped:
    """Return what is below the repository's path, or why GitHub does not show it.

    RequestFailedError while we must wait, or where GitHub shows nothing of the repository: nothing is skipped for that.
    """
    try:
        return reader.get(f"{request.address}{path}", parameters)
    except RequestFailedError as refusal:
        answer = refusal.answer
    if answer.kind not in REFUSALS | FAILING:
        raise RequestFailedError(answer)
    reader.get(request.address)
    return Skipped(what=what, why=answer.message)


def read_item(
    path: str, *, what: str, request: PageRequest, reader: Reader, facts_of: Callable[[PayloadReader], Iterable[Fact]]
) -> Items:
    """Return the facts of the one item below the repository's path, else its name as skipped."""
    answer = request_item(path, what=what, request=request, reader=reader)
    if isinstance(answer, Skipped):
        return Items(skipped=(answer,))
    items = read_items([answer.data], answer=answer, noun=what.partition(" ")[0], key="id", facts_of=facts_of)
    return replace(items, skipped=tuple(replace(each, what=what) for each in items.skipped))


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
class KeysetCursor:
    """How far reading is: `seen` items into the listing of what was updated since `since`.

    `last` is the id of the last of them, 0 where it is not known; `returns` counts how often reading went back to the
    first. `is_alone`: an item was asked for alone, so the pages from the first on are not to be asked for again.
    """

    since: datetime | None
    seen: int = 0
    last: int = 0
    returns: int = 0
    is_alone: bool = False

    @classmethod
    def of(cls, request: PageRequest) -> "KeysetCursor":
        if not request.cursor:
            return cls(since=request.since)
        since, *numbers = request.cursor.split(" ")
        seen, last, returns, is_alone = (*map(int, numbers), 0, 0, 0)[:4]
        return cls(since=parse_time(since), seen=seen, last=last, returns=returns, is_alone=bool(is_alone))

    @property
    def time(self) -> str:
        return write_time(self.since) if self.since else ""

    def as_text(self) -> str:
        return f"{self.time} {self.seen} {self.last} {self.returns} {int(self.is_alone)}"

    def next(self, size: int) -> Asked:
        """Return the page to request: from the first item on while one page holds all of it, so nothing is missed."""
        if self.seen < MOST_AT_ONCE and not self.is_alone:
            return Asked(size=min(MOST_AT_ONCE, self.seen + size), page=1, known=self.seen)
        return self.page_at(size)

    def page_at(self, size: int) -> Asked:
        """Return the page of this size that holds the first item not seen."""
        return Asked(size=size, page=self.seen // size + 1, known=self.seen % size)

    def parameters(self, asked: Asked) -> dict[str, Any]:
        since = {"since": self.time} if self.since else {}
        return {"sort": "updated", "direction": "asc", "per_page": asked.size, "page": asked.page, **since}

    def after(self, asked: Asked, *, found: Sequence[Any]) -> "KeysetCursor":
        """Return the cursor behind the page: always a later one."""
        times = tuple(_times(found))
        latest = max(times, default=None)
        since = latest - SECOND if latest else None
        if since is not None and (self.since is None or since > self.since):
            return KeysetCursor(since=since, seen=sum(time >= since for time in times), last=_last_of(found))
        return replace(self, seen=asked.page * asked.size, last=_last_of(found))

    def first(self) -> "KeysetCursor":
        """Return the cursor at the first item of the same listing."""
        return KeysetCursor(since=self.since, returns=self.returns + 1)


@dataclass(slots=True, kw_only=True)
class Keyset:
    """Reads one listing of a repository. `facts_of` reads an item, given the repository's id."""

    path: str
    noun: str
    facts_of: Callable[[PayloadReader, int], Iterable[Fact]]

    def read(self, request: PageRequest, reader: Reader) -> Page:
        cursor = KeysetCursor.of(request)
        asked = cursor.next(request.page_size)
        if asked.page > MOST_PAGES:
            return self._beyond(cursor)
        answer = reader.get(f"{request.address}{self.path}", cursor.parameters(asked))
        return self._page(answer, request, cursor=cursor, asked=asked, reader=reader)

    def skip_item(self, request: PageRequest, reader: Reader) -> Page:
        cursor = replace(KeysetCursor.of(request), is_alone=True)
        asked = cursor.page_at(1)
        what = f"{self.noun} {cursor.seen + 1} of those updated since {cursor.time or 'the beginning'}"
        answer = request_item(self.path, what=what, request=request, reader=reader, parameters=cursor.parameters(asked))
        if isinstance(answer, Skipped):
            behind = cursor.after(asked, found=())
            return Page(facts=(), cursor=behind.as_text(), items=0, skipped=(answer,))
        return self._page(answer, request, cursor=cursor, asked=asked, reader=reader)

    def _page(
        self, answer: Answer, request: PageRequest, *, cursor: KeysetCursor, asked: Asked, reader: Reader
    ) -> Page:
        found = read_rows(answer)
        items = read_items(
            found, answer=answer, noun=self.noun, key="id", facts_of=lambda comment: self._facts(comment, request)
        )
        page = Page(
            facts=items.facts,
            cursor=cursor.after(asked, found=found).as_text() if answer.next_path else None,
            items=max(0, len(found) - asked.known),
            skipped=items.skipped,
        )
        before = self._before(found, request, cursor=cursor, asked=asked, reader=reader)
        return page if before == cursor.last else self._moved(page, cursor=cursor)

    def _before(
        self, found: Sequence[Any], request: PageRequest, *, cursor: KeysetCursor, asked: Asked, reader: Reader
    ) -> int:
        """Return the id of the item before the new ones, asked for last: what is gone by then was not missed before."""
        if asked.page == 1 or not cursor.last:
            return cursor.last
        if asked.known:
            return _last_of(found[: asked.known])
        before = replace(asked, page=asked.page - 1)
        return _last_of(read_rows(reader.get(f"{request.address}{self.path}", cursor.parameters(before))))

    def _moved(self, page: Page, *, cursor: KeysetCursor) -> Page:
        """Return the page with a cursor at the first item, because items left the listing and others were missed."""
        if cursor.returns < MOST_RETURNS:
            return replace(page, cursor=cursor.first().as_text(), items=0)
        what = f"{self.noun}s before number {cursor.seen} of those updated since {cursor.time or 'the beginning'}"
        skipped = Skipped(what=what, why=f"the listing changed during each of {MOST_RETURNS + 1} readings")
        return replace(page, skipped=(*page.skipped, skipped))

    def _facts(self, item: PayloadReader, request: PageRequest) -> Iterable[Fact]:
        return self.facts_of(item, request.repository_id) if is_wanted(item, request) else ()

    def _beyond(self, cursor: KeysetCursor) -> Page:
        """Return the page that continues with the next second, because GitHub does not list all of one."""
        what = f"{self.noun}s updated at {cursor.time} beyond the first {cursor.seen}"
        behind = KeysetCursor(since=cursor.since + SECOND if cursor.since else None)
        skipped = Skipped(what=what, why=f"GitHub lists no more than {MOST_PAGES} pages")
        return Page(facts=(), cursor=behind.as_text() if behind.since else None, items=0, skipped=(skipped,))


def _times(items: Iterable[Any]) -> Iterable[datetime]:
    for item in items:
        moment = parse_time(item.get("updated_at")) if isinstance(item, dict) else None
        if moment is not None:
            yield moment


def _last_of(items: Sequence[Any]) -> int:
    last = items[-1].get("id") if items and isinstance(items[-1], dict) else None
    return last if isinstance(last, int) else 0

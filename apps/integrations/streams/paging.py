"""A page of one of GitHub's lists: what is on it, where the list goes on, and its items as facts, each by itself."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.utils import timezone

from apps.activity.facts import Fact
from apps.github.payload import PayloadReader
from apps.github.responses import REFUSALS, Answer, ResponseKind
from apps.integrations.reader import PageRequest, Reader, RequestFailedError, Skipped, ensure_same_repository
from apps.webhooks.parsing import UnusablePayloadError

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """A page of a GraphQL list: its nodes, how many there are in all, and the cursor to go on from, if it goes on."""

    nodes: tuple[Any, ...]
    total: int | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """What items came to."""

    facts: tuple[Fact, ...] = ()
    skipped: tuple[Skipped, ...] = ()


def read_repository(answer: Answer, request: PageRequest) -> PayloadReader:
    """The repository of a GraphQL answer; RequestFailedError where another one has the request's name by now."""
    found = item_reader(answer.data, path="data", answer=answer).child("repository")
    ensure_same_repository(answer, repository_id=found.id("databaseId"), request=request)
    return found


def read_list(connection: PayloadReader) -> ListPage:
    """The page of a GraphQL list."""
    info = connection.child("pageInfo")
    return ListPage(
        nodes=connection.members("nodes"),
        total=connection.count("totalCount"),
        after=info.text("endCursor") if info.flag("hasNextPage") else None,
    )


def read_rows(answer: Answer) -> tuple[Any, ...]:
    """The objects of a REST listing."""
    if not isinstance(answer.data, list):
        raise UnusablePayloadError("shape_mismatch", f"the listing is {type(answer.data).__name__}, not a list")
    return tuple(answer.data)


def item_reader(shaped: object, *, path: str, answer: Answer) -> PayloadReader:
    """An object of REST's shape, as it was when GitHub answered."""
    return PayloadReader(
        shaped, path=path, arrived_at=answer.observed_at or timezone.now(), observed_at=answer.observed_at
    )


def is_wanted(item: PayloadReader, request: PageRequest) -> bool:
    """Whether it was created no later than the request goes."""
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
    """The facts of all items, once `shape` has given them REST's shape.

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
    """Null is what GitHub left out, with its words beside the data."""
    if not isinstance(item, Mapping):
        raise UnusablePayloadError("not_shown", answer.message or f"it is {type(item).__name__}, not an object")
    return item


FAILING = {ResponseKind.TRANSIENT, ResponseKind.SHRINK}


def request_item(
    path: str, *, what: str, request: PageRequest, reader: Reader, parameters: Mapping[str, Any] | None = None
) -> Answer | Skipped:
    """What is below the repository's path, or why GitHub does not show it.

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
    """The facts of the one item below the repository's path, else its name as skipped."""
    answer = request_item(path, what=what, request=request, reader=reader)
    if isinstance(answer, Skipped):
        return Items(skipped=(answer,))
    items = read_items([answer.data], answer=answer, noun=what.partition(" ")[0], key="id", facts_of=facts_of)
    return replace(items, skipped=tuple(replace(each, what=what) for each in items.skipped))

"""Going through the list of pull requests page by page: which there are, and where it ends."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.utils import timezone

from apps.github.answers import Answer
from apps.github.payload import parse_time
from apps.integrations.backfill.walking import Errand, Reader, Skipped
from apps.integrations.backfill.walks.pull_request_nodes import Found, by_rest, errors_below, node_found, together
from apps.integrations.backfill.walks.pull_request_place import Owed, Place
from apps.integrations.backfill.walks.strangers import refuse_stranger

Node = Mapping[str, Any]
MOST_SWEEPS = 4
"""What is touched faster than a sweep goes is left to its webhooks."""
OVERLAP = timedelta(seconds=30)
"""A list may not show the latest updates yet: the next sweep goes down by so much more than it must."""
AT = ("repository", "pullRequests", "nodes")


def first_place(errand: Errand) -> Place:
    return Place(down_to=errand.since)


def read_nodes(place: Place, *, errand: Errand, reader: Reader) -> tuple[Found, Place, int | None]:
    """The page at the place, the place after it with all that it owes, and how many there are in all."""
    answer, listed = _ask("pull_request_page", place, errand=errand, reader=reader, first=errand.page_size)
    wanted, is_past = _wanted(listed["nodes"], place=place, errand=errand)
    found = [
        node_found(
            node,
            errors=errors_below(answer, (*AT, at)),
            repository_id=errand.repository_id,
            observed_at=answer.observed_at or timezone.now(),
        )
        for at, node in wanted
        if node is not None
    ]
    found += [_holes(wanted, place=place, count=errand.page_size), _errors_elsewhere(answer)]
    page = together(found)
    is_bounded = errand.since is not None or errand.until is not None
    after = _passed(place, listed=listed, is_past=is_past, errand=errand, answer=answer)
    return page, replace(after, owed=page.owed), None if is_bounded else listed["totalCount"]


def read_numbers(place: Place, *, errand: Errand, reader: Reader) -> tuple[Found, Place]:
    """The one pull request at the place, left to REST, and the place after it."""
    answer, listed = _ask("pull_request_numbers", place, errand=errand, reader=reader, first=1)
    wanted, is_past = _wanted(listed["nodes"], place=place, errand=errand)
    found = together(_named(wanted, answer=answer, seen=()))
    after = _passed(place, listed=listed, is_past=is_past, errand=errand, answer=answer)
    return found, replace(after, owed=found.owed)


def find_missing(owed: Owed, *, place: Place, errand: Errand, reader: Reader) -> Found:
    """Which pull requests were the holes of a page: each is left to REST. The sweep of the page may be over since."""
    there = replace(place, down_to=errand.since, after=owed.after["page"])
    answer, listed = _ask("pull_request_numbers", there, errand=errand, reader=reader, first=owed.count)
    wanted, _ = _wanted(listed["nodes"], place=there, errand=errand)
    return together(_named(wanted, answer=answer, seen=owed.seen))


def _passed(place: Place, *, listed: Node, is_past: bool, errand: Errand, answer: Answer) -> Place:
    """The place after a page: further on, at the top again, or at the end.

    What was updated during a sweep moved above it, so another follows, down to where the last one began; one that
    is a single page cannot have missed anything.
    """
    left_top_at = place.left_top_at or answer.observed_at or errand.started_at
    if listed["pageInfo"]["hasNextPage"] and not is_past:
        return replace(place, after=listed["pageInfo"]["endCursor"], left_top_at=left_top_at, owed=())
    is_single_page = place.after is None
    if place.down_to is None or is_single_page or place.sweep == MOST_SWEEPS:
        return replace(place, is_over=True, owed=())
    return Place(sweep=place.sweep + 1, down_to=max(place.down_to, left_top_at - OVERLAP))


def _ask(document: str, place: Place, *, errand: Errand, reader: Reader, first: int) -> tuple[Answer, Node]:
    """The page at the place; Unanswered where another repository has the errand's name by now."""
    by_creation = {"field": "CREATED_AT", "direction": "ASC"}
    order = by_creation if place.down_to is None else {"field": "UPDATED_AT", "direction": "DESC"}
    variables = {"owner": errand.owner, "name": errand.name, "first": first, "after": place.after, **order}
    answer = reader.graphql(document, variables)
    found = answer.data["repository"]
    refuse_stranger(answer, repository_id=found["databaseId"], errand=errand)
    return answer, found["pullRequests"]


def _wanted(nodes: list[Node | None], *, place: Place, errand: Errand) -> tuple[list[tuple[int, Node | None]], bool]:
    """The nodes within the bounds, each with its place on the page, and whether the page goes beyond them."""
    wanted: list[tuple[int, Node | None]] = []
    for at, node in enumerate(nodes):
        created_at, updated_at = (parse_time((node or {}).get(name)) for name in ("createdAt", "updatedAt"))
        is_too_young = created_at and errand.until and created_at > errand.until
        if is_too_young if place.down_to is None else updated_at and updated_at < place.down_to:
            return wanted, True
        if not is_too_young:
            wanted.append((at, node))
    return wanted, False


def _holes(wanted: list[tuple[int, Node | None]], *, place: Place, count: int) -> Found:
    seen = tuple(node["number"] for _, node in wanted if node is not None)
    if len(seen) == len(wanted):
        return Found()
    return Found(owed=(Owed(part="missing", after={"page": place.after}, count=count, seen=seen),))


def _named(wanted: list[tuple[int, Node | None]], *, answer: Answer, seen: tuple[int, ...]) -> Iterator[Found]:
    """Those that are not among `seen`; what is a hole here as well is left out."""
    neighbour = "at the top of a page"
    for at, node in wanted:
        if node is None:
            why = "; ".join(error.message for error in errors_below(answer, (*AT, at)))
            yield Found(skipped=(Skipped(what=f"a pull request {neighbour}", why=why),))
            continue
        neighbour = f"listed after {node['number']}"
        if node["number"] not in seen:
            yield Found(owed=(by_rest(node["number"]),))


def _errors_elsewhere(answer: Answer) -> Found:
    elsewhere = [error for error in answer.verdict.errors if error.path[: len(AT)] != AT]
    return Found(skipped=tuple(Skipped(what="part of a page of pull requests", why=one.message) for one in elsewhere))

"""The walk through pull requests, with reviews, commits, labels and timelines."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.utils import timezone

from apps.github.answers import Answer
from apps.github.payload import parse_time
from apps.github.responses import REFUSALS, Kind
from apps.integrations.reader import Page, PageRequest, Reader, RequestFailedError, Skipped
from apps.integrations.streams.paging import refuse_stranger
from apps.integrations.streams.pull_request_parts import (
    Found,
    PendingPart,
    Place,
    by_rest,
    errors_below,
    node_found,
    overflow_found,
    read_place,
    together,
)
from apps.integrations.streams.pull_request_rest import MOST_TRIES, leave_out, read_part

Node = Mapping[str, Any]
MAX_PASSES = 4
"""What is touched faster than a sweep goes is left to its webhooks."""
OVERLAP = timedelta(seconds=30)
"""A list may not show the latest updates yet: the next sweep goes down by so much more than it must."""
AT = ("repository", "pullRequests", "nodes")


def first_place(request: PageRequest) -> Place:
    return Place(down_to=request.since)


def read_nodes(place: Place, *, request: PageRequest, reader: Reader) -> tuple[Found, Place, int | None]:
    """The page at the place, the place after it with all that it owes, and how many there are in all."""
    answer, listed = _ask_page("pull_request_page", place, request=request, reader=reader, first=request.page_size)
    wanted, is_past = _wanted(listed["nodes"], place=place, request=request)
    found = [
        node_found(
            node,
            errors=errors_below(answer, (*AT, at)),
            repository_id=request.repository_id,
            observed_at=answer.observed_at or timezone.now(),
        )
        for at, node in wanted
        if node is not None
    ]
    found += [_holes(wanted, place=place, count=request.page_size), _errors_elsewhere(answer)]
    page = together(found)
    is_bounded = request.since is not None or request.until is not None
    after = _passed(place, listed=listed, is_past=is_past, request=request, answer=answer)
    return page, replace(after, owed=page.owed), None if is_bounded else listed["totalCount"]


def read_numbers(place: Place, *, request: PageRequest, reader: Reader) -> tuple[Found, Place]:
    """The one pull request at the place, left to REST, and the place after it."""
    answer, listed = _ask_page("pull_request_numbers", place, request=request, reader=reader, first=1)
    wanted, is_past = _wanted(listed["nodes"], place=place, request=request)
    found = together(_named(wanted, answer=answer, seen=()))
    after = _passed(place, listed=listed, is_past=is_past, request=request, answer=answer)
    return found, replace(after, owed=found.owed)


def find_missing(owed: PendingPart, *, place: Place, request: PageRequest, reader: Reader) -> Found:
    """Which pull requests were the holes of a page: each is left to REST. The sweep of the page may be over since."""
    there = replace(place, down_to=request.since, after=owed.after["page"])
    answer, listed = _ask_page("pull_request_numbers", there, request=request, reader=reader, first=owed.count)
    wanted, _ = _wanted(listed["nodes"], place=there, request=request)
    return together(_named(wanted, answer=answer, seen=owed.seen))


def _passed(place: Place, *, listed: Node, is_past: bool, request: PageRequest, answer: Answer) -> Place:
    """The place after a page: further on, at the top again, or at the end.

    What was updated during a sweep moved above it, so another follows, down to where the last one began; one that
    is a single page cannot have missed anything.
    """
    left_top_at = place.left_top_at or answer.observed_at or request.started_at
    if listed["pageInfo"]["hasNextPage"] and not is_past:
        return replace(place, after=listed["pageInfo"]["endCursor"], left_top_at=left_top_at, owed=())
    is_single_page = place.after is None
    if place.down_to is None or is_single_page or place.sweep == MAX_PASSES:
        return replace(place, is_over=True, owed=())
    return Place(sweep=place.sweep + 1, down_to=max(place.down_to, left_top_at - OVERLAP))


def _ask_page(document: str, place: Place, *, request: PageRequest, reader: Reader, first: int) -> tuple[Answer, Node]:
    """The page at the place; RequestFailedError where another repository has the request's name by now."""
    by_creation = {"field": "CREATED_AT", "direction": "ASC"}
    order = by_creation if place.down_to is None else {"field": "UPDATED_AT", "direction": "DESC"}
    variables = {"owner": request.owner, "name": request.name, "first": first, "after": place.after, **order}
    answer = reader.graphql(document, variables)
    found = answer.data["repository"]
    refuse_stranger(answer, repository_id=found["databaseId"], request=request)
    return answer, found["pullRequests"]


def _wanted(
    nodes: list[Node | None], *, place: Place, request: PageRequest
) -> tuple[list[tuple[int, Node | None]], bool]:
    """The nodes within the bounds, each with its place on the page, and whether the page goes beyond them."""
    wanted: list[tuple[int, Node | None]] = []
    for at, node in enumerate(nodes):
        created_at, updated_at = (parse_time((node or {}).get(name)) for name in ("createdAt", "updatedAt"))
        is_too_young = created_at and request.until and created_at > request.until
        if is_too_young if place.down_to is None else updated_at and updated_at < place.down_to:
            return wanted, True
        if not is_too_young:
            wanted.append((at, node))
    return wanted, False


def _holes(wanted: list[tuple[int, Node | None]], *, place: Place, count: int) -> Found:
    seen = tuple(node["number"] for _, node in wanted if node is not None)
    if len(seen) == len(wanted):
        return Found()
    return Found(owed=(PendingPart(part="missing", after={"page": place.after}, count=count, seen=seen),))


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


SWITCHES = {"withLabels": "labels", "withReviews": "reviews", "withCommits": "commits", "withTimeline": "timelineItems"}
CURSORS = {
    "labelsAfter": "labels",
    "reviewsAfter": "reviews",
    "commitsAfter": "commits",
    "timelineAfter": "timelineItems",
}


def pay(owed: PendingPart, *, place: Place, request: PageRequest, reader: Reader) -> Found:
    """Read what is owed; RequestFailedError where GitHub does not give it now."""
    match owed.part:
        case "lists":
            return _finish_lists(owed, request=request, reader=reader)
        case "whole":
            return _read_whole(owed, request=request, reader=reader)
        case "missing":
            return find_missing(owed, place=place, request=request, reader=reader)
    return read_part(owed, request=request, reader=reader)


def go_around(owed: PendingPart) -> Found:
    """Do without what cannot be read or kept: without GraphQL, then without REST."""
    if owed.part in {"lists", "whole"}:
        return Found(owed=(by_rest(owed.number, is_counted=True),))
    if owed.part == "missing":
        return Found(skipped=(Skipped(what="pull requests that a page left out", why="nor are they listed"),))
    return leave_out(owed, why="neither GraphQL nor REST can show it")


def _finish_lists(owed: PendingPart, *, request: PageRequest, reader: Reader) -> Found:
    switches = {switch: name in owed.after for switch, name in SWITCHES.items()}
    cursors = {cursor: owed.after.get(name) for cursor, name in CURSORS.items()}
    answer = _ask("overflow", {"id": owed.id, **switches, **cursors}, reader=reader)
    node = answer.data["node"] if answer else None
    if answer is None or not node:
        return Found(owed=(by_rest(owed.number, is_counted=True),))
    if (node["updatedAt"], node["headRefOid"]) != (owed.updated_at, owed.head_sha):
        return _begin_again(owed)
    return overflow_found(
        node,
        owed,
        errors=errors_below(answer, ("node",)),
        repository_id=request.repository_id,
        observed_at=answer.observed_at or timezone.now(),
    )


def _begin_again(owed: PendingPart) -> Found:
    """It changed meanwhile: lists of two heads are no list."""
    if owed.tries == MOST_TRIES:
        what = f"the longer lists of pull request {owed.number}"
        return Found(skipped=(Skipped(what=what, why="it changed each time they were read"),))
    return Found(owed=(PendingPart(part="whole", number=owed.number, id=owed.id, tries=owed.tries + 1),))


def _read_whole(owed: PendingPart, *, request: PageRequest, reader: Reader) -> Found:
    answer = _ask("pull_requests_by_id", {"ids": [owed.id]}, reader=reader)
    node = answer.data["nodes"][0] if answer else None
    if answer is None or not node:
        return Found(owed=(by_rest(owed.number, is_counted=True),))
    found = node_found(
        node,
        errors=errors_below(answer, ("nodes", 0)),
        repository_id=request.repository_id,
        observed_at=answer.observed_at or timezone.now(),
        tries=owed.tries,
    )
    return replace(found, items=0)


def _ask(name: str, variables: dict[str, Any], *, reader: Reader) -> Answer | None:
    """None where GraphQL does not show it, however small the question: REST may, or tells what is the matter."""
    try:
        return reader.graphql(name, variables)
    except RequestFailedError as unanswered:
        if unanswered.answer.kind in {*REFUSALS, Kind.SHRINK}:
            return None
        raise


PAGE_SIZE = 25
"""126 connections: one point. A second one would begin at 30."""


class PullRequestWalk:
    """Through all pull requests by creation; with `since` by update, from the latest down to it, until nothing moved.

    One page is one request. What a page leaves unfinished of a pull request is owed, and paid for request by request
    before the next page: whoever is told to wait for their turn in between has lost nothing.
    """

    page_size = PAGE_SIZE
    most = PAGE_SIZE

    def read(self, request: PageRequest, reader: Reader) -> Page:
        """What is owed, else the next page."""
        place = read_place(request.cursor) if request.cursor else first_place(request)
        if place.owed:
            found = pay(place.owed[0], place=place, request=request, reader=reader)
            return _page(place.paid(*found.owed), found)
        found, place, total = read_nodes(place, request=request, reader=reader)
        return _page(place, found, total=total)

    def step_over(self, request: PageRequest, reader: Reader) -> Page:
        """Leave the one pull request at the cursor to REST; where REST cannot be used either, leave it out."""
        place = read_place(request.cursor) if request.cursor else first_place(request)
        if place.owed:
            found = go_around(place.owed[0])
            return _page(place.paid(*found.owed), found)
        found, place = read_numbers(place, request=request, reader=reader)
        return _page(place, found)


def _page(place: Place, found: Found, *, total: int | None = None) -> Page:
    return Page(facts=found.facts, cursor=place.cursor(), items=found.items, total=total, skipped=found.skipped)

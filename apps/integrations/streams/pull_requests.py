"""Pull requests, with reviews, commits, labels and timelines.

All of them by creation; with `since` by update, from the latest down to it, until nothing moved. One page is one
request. What a page leaves unfinished of a pull request is pending, and fetched request by request before the next
page: a wait in between loses nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.utils import timezone

from apps.activity.models import PullRequest
from apps.github.payload import parse_time
from apps.github.probes import newest_of
from apps.github.responses import REFUSALS, Answer, ResponseKind
from apps.integrations.reader import Page, PageRequest, Reader, RequestFailedError, Skipped, ensure_same_repository
from apps.integrations.streams.pull_request_parts import (
    MOST_TRIES,
    Found,
    PendingPart,
    PullRequestCursor,
    by_rest,
    errors_below,
    leave_out,
    node_found,
    overflow_found,
    read_part,
    together,
)
from apps.integrations.streams.stream import ReadCost, Stream, Total

Node = Mapping[str, Any]
MAX_PASSES = 4
"""What is touched faster than a pass goes is left to its webhooks."""
OVERLAP = timedelta(seconds=30)
"""A list may not show the latest updates yet: the next pass goes down by so much more than it must."""
AT = ("repository", "pullRequests", "nodes")


def read_nodes(
    cursor: PullRequestCursor, *, request: PageRequest, reader: Reader
) -> tuple[Found, PullRequestCursor, int | None]:
    """Return the page at the cursor, the cursor after it with all that is pending, and how many there are in all."""
    answer, listed = _ask_page("pull_request_page", cursor, request=request, reader=reader, first=request.page_size)
    wanted, is_past = _wanted(listed["nodes"], cursor=cursor, request=request)
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
    found += [_holes(wanted, cursor=cursor, count=request.page_size), _errors_elsewhere(answer)]
    page = together(found)
    is_bounded = request.since is not None or request.until is not None
    after = _passed(cursor, listed=listed, is_past=is_past, request=request, answer=answer)
    return page, replace(after, pending=page.pending), None if is_bounded else listed["totalCount"]


def read_numbers(cursor: PullRequestCursor, *, request: PageRequest, reader: Reader) -> tuple[Found, PullRequestCursor]:
    """Return the one pull request at the cursor, left to REST, and the cursor after it."""
    answer, listed = _ask_page("pull_request_numbers", cursor, request=request, reader=reader, first=1)
    wanted, is_past = _wanted(listed["nodes"], cursor=cursor, request=request)
    found = together(_named(wanted, answer=answer, seen=()))
    after = _passed(cursor, listed=listed, is_past=is_past, request=request, answer=answer)
    return found, replace(after, pending=found.pending)


def find_missing(pending: PendingPart, *, cursor: PullRequestCursor, request: PageRequest, reader: Reader) -> Found:
    """Return the pull requests that a page left out; each is read by REST. The pass of the page may be over since."""
    there = replace(cursor, down_to=request.since, after=pending.after["page"])
    answer, listed = _ask_page("pull_request_numbers", there, request=request, reader=reader, first=pending.count)
    wanted, _ = _wanted(listed["nodes"], cursor=there, request=request)
    return together(_named(wanted, answer=answer, seen=pending.seen))


def _passed(
    cursor: PullRequestCursor, *, listed: Node, is_past: bool, request: PageRequest, answer: Answer
) -> PullRequestCursor:
    """Return the cursor after a page: further on, at the top again, or at the end.

    What was updated during a pass moved above it, so another follows, down to where the last one began; one that
    is a single page cannot have missed anything.
    """
    left_top_at = cursor.left_top_at or answer.observed_at or request.started_at
    if listed["pageInfo"]["hasNextPage"] and not is_past:
        return replace(cursor, after=listed["pageInfo"]["endCursor"], left_top_at=left_top_at, pending=())
    is_single_page = cursor.after is None
    if cursor.down_to is None or is_single_page or cursor.number == MAX_PASSES:
        return replace(cursor, is_over=True, pending=())
    return PullRequestCursor(number=cursor.number + 1, down_to=max(cursor.down_to, left_top_at - OVERLAP))


def _ask_page(
    document: str, cursor: PullRequestCursor, *, request: PageRequest, reader: Reader, first: int
) -> tuple[Answer, Node]:
    """Return the page at the cursor; RequestFailedError where another repository has the request's name by now."""
    by_creation = {"field": "CREATED_AT", "direction": "ASC"}
    order = by_creation if cursor.down_to is None else {"field": "UPDATED_AT", "direction": "DESC"}
    variables = {"owner": request.owner, "name": request.name, "first": first, "after": cursor.after, **order}
    answer = reader.graphql(document, variables)
    found = answer.data["repository"]
    ensure_same_repository(answer, repository_id=found["databaseId"], request=request)
    return answer, found["pullRequests"]


def _wanted(
    nodes: list[Node | None], *, cursor: PullRequestCursor, request: PageRequest
) -> tuple[list[tuple[int, Node | None]], bool]:
    """Return the nodes within the bounds, each with its cursor on the page, and whether the page goes beyond them."""
    wanted: list[tuple[int, Node | None]] = []
    for at, node in enumerate(nodes):
        created_at, updated_at = (parse_time((node or {}).get(name)) for name in ("createdAt", "updatedAt"))
        is_too_young = created_at and request.until and created_at > request.until
        if is_too_young if cursor.down_to is None else updated_at and updated_at < cursor.down_to:
            return wanted, True
        if not is_too_young:
            wanted.append((at, node))
    return wanted, False


def _holes(wanted: list[tuple[int, Node | None]], *, cursor: PullRequestCursor, count: int) -> Found:
    seen = tuple(node["number"] for _, node in wanted if node is not None)
    if len(seen) == len(wanted):
        return Found()
    return Found(pending=(PendingPart(part="missing", after={"page": cursor.after}, count=count, seen=seen),))


def _named(wanted: list[tuple[int, Node | None]], *, answer: Answer, seen: tuple[int, ...]) -> Iterator[Found]:
    """Yield those that are not among `seen`; what is a hole here as well is left out."""
    neighbour = "at the top of a page"
    for at, node in wanted:
        if node is None:
            why = "; ".join(error.message for error in errors_below(answer, (*AT, at)))
            yield Found(skipped=(Skipped(what=f"a pull request {neighbour}", why=why),))
            continue
        neighbour = f"listed after {node['number']}"
        if node["number"] not in seen:
            yield Found(pending=(by_rest(node["number"]),))


def _errors_elsewhere(answer: Answer) -> Found:
    elsewhere = [error for error in answer.errors if error.path[: len(AT)] != AT]
    return Found(skipped=tuple(Skipped(what="part of a page of pull requests", why=one.message) for one in elsewhere))


SWITCHES = {"withLabels": "labels", "withReviews": "reviews", "withCommits": "commits", "withTimeline": "timelineItems"}
CURSORS = {
    "labelsAfter": "labels",
    "reviewsAfter": "reviews",
    "commitsAfter": "commits",
    "timelineAfter": "timelineItems",
}


def fetch_part(pending: PendingPart, *, cursor: PullRequestCursor, request: PageRequest, reader: Reader) -> Found:
    """Read what is pending; RequestFailedError where GitHub does not give it now."""
    match pending.part:
        case "lists":
            return _finish_lists(pending, request=request, reader=reader)
        case "whole":
            return _read_whole(pending, request=request, reader=reader)
        case "missing":
            return find_missing(pending, cursor=cursor, request=request, reader=reader)
    return read_part(pending, request=request, reader=reader)


def skip_part(pending: PendingPart) -> Found:
    """Do without what cannot be read or kept: without GraphQL, then without REST."""
    if pending.part in {"lists", "whole"}:
        return Found(pending=(by_rest(pending.number, is_counted=True),))
    if pending.part == "missing":
        return Found(skipped=(Skipped(what="pull requests that a page left out", why="nor are they listed"),))
    return leave_out(pending, why="neither GraphQL nor REST can show it")


def _finish_lists(pending: PendingPart, *, request: PageRequest, reader: Reader) -> Found:
    switches = {switch: name in pending.after for switch, name in SWITCHES.items()}
    cursors = {cursor: pending.after.get(name) for cursor, name in CURSORS.items()}
    answer = _ask("overflow", {"id": pending.id, **switches, **cursors}, reader=reader)
    node = answer.data["node"] if answer else None
    if answer is None or not node:
        return Found(pending=(by_rest(pending.number, is_counted=True),))
    if (node["updatedAt"], node["headRefOid"]) != (pending.updated_at, pending.head_sha):
        return _begin_again(pending)
    return overflow_found(
        node,
        pending,
        errors=errors_below(answer, ("node",)),
        repository_id=request.repository_id,
        observed_at=answer.observed_at or timezone.now(),
    )


def _begin_again(pending: PendingPart) -> Found:
    """Return a new beginning, because it changed meanwhile and lists of two heads do not fit together."""
    if pending.tries == MOST_TRIES:
        what = f"the longer lists of pull request {pending.number}"
        return Found(skipped=(Skipped(what=what, why="it changed each time they were read"),))
    return Found(pending=(PendingPart(part="whole", number=pending.number, id=pending.id, tries=pending.tries + 1),))


def _read_whole(pending: PendingPart, *, request: PageRequest, reader: Reader) -> Found:
    answer = _ask("pull_requests_by_id", {"ids": [pending.id]}, reader=reader)
    node = answer.data["nodes"][0] if answer else None
    if answer is None or not node:
        return Found(pending=(by_rest(pending.number, is_counted=True),))
    found = node_found(
        node,
        errors=errors_below(answer, ("nodes", 0)),
        repository_id=request.repository_id,
        observed_at=answer.observed_at or timezone.now(),
        tries=pending.tries,
    )
    return replace(found, items=0)


def _ask(name: str, variables: dict[str, Any], *, reader: Reader) -> Answer | None:
    """Return the answer; None where GraphQL does not show it at any size, for REST may show it, or say why not."""
    try:
        return reader.graphql(name, variables)
    except RequestFailedError as unanswered:
        if unanswered.answer.kind in {*REFUSALS, ResponseKind.SHRINK}:
            return None
        raise


def read(request: PageRequest, reader: Reader) -> Page:
    """Return what is pending, else the next page."""
    cursor = _cursor_of(request)
    if cursor.pending:
        found = fetch_part(cursor.pending[0], cursor=cursor, request=request, reader=reader)
        return _page(cursor.replace_first(*found.pending), found)
    found, cursor, total = read_nodes(cursor, request=request, reader=reader)
    return _page(cursor, found, total=total)


def skip_item(request: PageRequest, reader: Reader) -> Page:
    """Leave the one pull request at the cursor to REST; where REST cannot be used either, leave it out."""
    cursor = _cursor_of(request)
    if cursor.pending:
        found = skip_part(cursor.pending[0])
        return _page(cursor.replace_first(*found.pending), found)
    found, cursor = read_numbers(cursor, request=request, reader=reader)
    return _page(cursor, found)


def _cursor_of(request: PageRequest) -> PullRequestCursor:
    return PullRequestCursor.from_text(request.cursor) if request.cursor else PullRequestCursor(down_to=request.since)


def _page(cursor: PullRequestCursor, found: Found, *, total: int | None = None) -> Page:
    return Page(facts=found.facts, cursor=cursor.as_text(), items=found.items, total=total, skipped=found.skipped)


PAGE_SIZE = 25
"""126 connections: one point. A second one would begin at 30."""
PULL_REQUESTS = Stream(
    name="pull_requests",
    read=read,
    skip_item=skip_item,
    page_size=PAGE_SIZE,
    most=PAGE_SIZE,
    events=("pull_request", "pull_request_review", "pull_request_review_thread"),
    entities=("pull_request", "review"),
    model=PullRequest,
    probe=newest_of("pullRequests", order="UPDATED_AT", fields="updatedAt"),
    total=Total.of_list("pullRequests"),
    cost=ReadCost(item_s=0.08, nested=5, long_lists=0.005),
)

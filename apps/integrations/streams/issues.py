"""Issues, by what was updated last: one that is updated meanwhile comes again at the end.

The cursor is the time up to which issues were read, and GitHub's own, without which reading continues by the time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from apps.activity.facts import Fact, IssueDeleted
from apps.activity.models import Issue
from apps.github.objects.graphql_as_rest import is_complete, issue
from apps.github.objects.issues import issue_facts
from apps.github.payload import PayloadReader, parse_time, write_time
from apps.github.probes import newest_of
from apps.github.responses import Answer
from apps.integrations.outcomes import INVALID_CURSOR as CURSOR_REFUSED
from apps.integrations.reader import Page, PageRequest, Reader, RequestFailedError
from apps.integrations.streams.paging import (
    Item,
    Items,
    ListPage,
    is_wanted,
    read_item,
    read_items,
    read_list,
    read_repository,
)
from apps.integrations.streams.stream import Deletable, ReadCost, Stream, Total
from apps.webhooks.parsing import UnusablePayloadError


def read(request: PageRequest, reader: Reader) -> Page:
    answer, page = _ask(request, reader, first=request.page_size)
    items = read_items(
        _with_labels(page.nodes, reader),
        answer=answer,
        noun="issue",
        key="number",
        facts_of=lambda found: _facts(found, request),
        shape=_shape,
    )
    return _page(page, request, items)


def skip_item(request: PageRequest, reader: Reader) -> Page:
    _, page = _ask(request, reader, first=1, is_whole=False)
    if not page.nodes:
        return _page(page, request, Items())
    number = page.nodes[0]["number"]
    items = read_item(
        f"/issues/{number}",
        what=f"issue {number}",
        request=request,
        reader=reader,
        facts_of=lambda found: _facts(found, request),
    )
    return _page(page, request, items)


def _ask(request: PageRequest, reader: Reader, *, first: int, is_whole: bool = True) -> tuple[Answer, ListPage]:
    """Return the page at the cursor; if GitHub refuses its own cursor, the page from the last time seen on."""
    read_until, _, after = request.cursor.partition(" ")
    since = write_time(request.since) if request.since else None
    variables: dict[str, Any] = {"owner": request.owner, "name": request.name, "first": first, "isWhole": is_whole}
    try:
        answer = reader.graphql("issue_page", {**variables, "since": since, "after": after or None})
    except RequestFailedError as refusal:
        if not read_until or not _is_cursor_refused(refusal.answer):
            raise
        answer = reader.graphql("issue_page", {**variables, "since": read_until, "after": None})
        return answer, replace(_listed(answer, request), total=None)
    return answer, _listed(answer, request)


def _listed(answer: Answer, request: PageRequest) -> ListPage:
    return read_list(read_repository(answer, request).child("issues"))


def _is_cursor_refused(answer: Answer) -> bool:
    return any(error.type == CURSOR_REFUSED for error in answer.errors)


def _page(page: ListPage, request: PageRequest, items: Items) -> Page:
    return Page(
        facts=items.facts,
        cursor=None if page.after is None else f"{_read_until(page, request)} {page.after}",
        items=len(page.nodes),
        total=page.total,
        skipped=items.skipped,
    )


def _read_until(page: ListPage, request: PageRequest) -> str:
    """Return the last time on the page, as GitHub writes it; where it shows none, the one before."""
    times = (parse_time(node.get("updatedAt")) for node in page.nodes if isinstance(node, Mapping))
    latest = max((time for time in times if time), default=None)
    return write_time(latest) if latest else request.cursor.partition(" ")[0]


def _with_labels(nodes: Sequence[Any], reader: Reader) -> list[Any]:
    """Return the nodes, each with all of its labels."""
    unfinished = [node["id"] for node in nodes if node and not is_complete(node.get("labels"))]
    if not unfinished:
        return list(nodes)
    answer = reader.graphql("issue_labels", {"ids": unfinished})
    whole = {node["id"]: node["labels"] for node in answer.data["nodes"] if node}
    return [{**node, "labels": whole.get(node["id"], node.get("labels"))} if node else node for node in nodes]


def _shape(node: Item) -> Item:
    if not is_complete(node.get("labels")):
        raise UnusablePayloadError("incomplete", "its labels do not end")
    return issue(node)


def _facts(found: PayloadReader, request: PageRequest) -> Iterable[Fact]:
    return issue_facts(found, repository_id=request.repository_id) if is_wanted(found, request) else ()


def _deleted(row: Issue, at: datetime) -> Fact:
    return IssueDeleted(repository_id=row.repository_id, number=row.number, deleted_at=at)


ISSUES = Stream(
    name="issues",
    read=read,
    skip_item=skip_item,
    events=("issues",),
    entities=("issue",),
    model=Issue,
    probe=newest_of("issues", order="UPDATED_AT", fields="updatedAt"),
    total=Total.of_list("issues", arguments="(filterBy: { since: $since })", is_bounded=True),
    cost=ReadCost(nested=2),
    deletable=Deletable(
        noun="issue",
        model=Issue,
        path="/issues",
        permission="issues",
        deleted=_deleted,
        key="number",
        needs_issues=True,
    ),
)

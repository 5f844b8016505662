"""The walk through issues, by what was updated last: one that is updated meanwhile comes again at the end."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from apps.activity.facts import Fact
from apps.github.answers import Answer
from apps.github.objects.graphql import is_complete, issue
from apps.github.objects.issues import issue_facts
from apps.github.payload import PayloadReader, parse_time, write_time
from apps.integrations.outcomes import INVALID_CURSOR as CURSOR_REFUSED
from apps.integrations.reader import Page, PageRequest, Reader, RequestFailedError
from apps.integrations.streams.paging import Gathered, Item, Listed, gather, gather_alone, is_wanted, listed, repository
from apps.webhooks.parsing import UnusablePayloadError


class Issues:
    """Its cursor is the time up to which issues were read, and GitHub's own, without which it goes on by the time."""

    page_size = 100
    most = 100

    def read(self, request: PageRequest, reader: Reader) -> Page:
        answer, page = _ask("issue_page", request, reader, first=request.page_size)
        gathered = gather(
            _with_labels(page.nodes, reader),
            answer=answer,
            noun="issue",
            key="number",
            facts_of=lambda found: _facts(found, request),
            shape=_shape,
        )
        return _page(page, request, gathered)

    def step_over(self, request: PageRequest, reader: Reader) -> Page:
        _, page = _ask("issue_place", request, reader, first=1)
        if not page.nodes:
            return _page(page, request, Gathered())
        number = page.nodes[0]["number"]
        gathered = gather_alone(
            f"/issues/{number}",
            what=f"issue {number}",
            request=request,
            reader=reader,
            facts_of=lambda found: _facts(found, request),
        )
        return _page(page, request, gathered)


def _ask(document: str, request: PageRequest, reader: Reader, *, first: int) -> tuple[Answer, Listed]:
    """The page at the cursor; if GitHub does not take its own cursor any more, the page from the last time seen on."""
    read_until, _, after = request.cursor.partition(" ")
    since = write_time(request.since) if request.since else None
    variables: dict[str, Any] = {"owner": request.owner, "name": request.name, "first": first}
    try:
        answer = reader.graphql(document, {**variables, "since": since, "after": after or None})
    except RequestFailedError as refusal:
        if not read_until or not _is_cursor_refused(refusal.answer):
            raise
        answer = reader.graphql(document, {**variables, "since": read_until, "after": None})
        return answer, replace(_listed(answer, request), total=None)
    return answer, _listed(answer, request)


def _listed(answer: Answer, request: PageRequest) -> Listed:
    return listed(repository(answer, request).child("issues"))


def _is_cursor_refused(answer: Answer) -> bool:
    return any(error.type == CURSOR_REFUSED for error in answer.verdict.errors)


def _page(page: Listed, request: PageRequest, gathered: Gathered) -> Page:
    return Page(
        facts=gathered.facts,
        cursor=None if page.after is None else f"{_read_until(page, request)} {page.after}",
        items=len(page.nodes),
        total=page.total,
        skipped=gathered.skipped,
    )


def _read_until(page: Listed, request: PageRequest) -> str:
    """The last time on the page, as GitHub writes it; where it shows none, the one before."""
    times = (parse_time(node.get("updatedAt")) for node in page.nodes if isinstance(node, Mapping))
    latest = max((time for time in times if time), default=None)
    return write_time(latest) if latest else request.cursor.partition(" ")[0]


def _with_labels(nodes: Sequence[Any], reader: Reader) -> list[Any]:
    """The nodes, each with all of its labels."""
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

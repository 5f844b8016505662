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

    def read(self, errand: PageRequest, reader: Reader) -> Page:
        answer, page = _ask("issue_page", errand, reader, first=errand.page_size)
        gathered = gather(
            _with_labels(page.nodes, reader),
            answer=answer,
            noun="issue",
            key="number",
            facts_of=lambda found: _facts(found, errand),
            shape=_shape,
        )
        return _page(page, errand, gathered)

    def step_over(self, errand: PageRequest, reader: Reader) -> Page:
        _, page = _ask("issue_place", errand, reader, first=1)
        if not page.nodes:
            return _page(page, errand, Gathered())
        number = page.nodes[0]["number"]
        gathered = gather_alone(
            f"/issues/{number}",
            what=f"issue {number}",
            errand=errand,
            reader=reader,
            facts_of=lambda found: _facts(found, errand),
        )
        return _page(page, errand, gathered)


def _ask(document: str, errand: PageRequest, reader: Reader, *, first: int) -> tuple[Answer, Listed]:
    """The page at the cursor; if GitHub does not take its own cursor any more, the page from the last time seen on."""
    read_until, _, after = errand.cursor.partition(" ")
    since = write_time(errand.since) if errand.since else None
    variables: dict[str, Any] = {"owner": errand.owner, "name": errand.name, "first": first}
    try:
        answer = reader.graphql(document, {**variables, "since": since, "after": after or None})
    except RequestFailedError as refusal:
        if not read_until or not _is_cursor_refused(refusal.answer):
            raise
        answer = reader.graphql(document, {**variables, "since": read_until, "after": None})
        return answer, replace(_listed(answer, errand), total=None)
    return answer, _listed(answer, errand)


def _listed(answer: Answer, errand: PageRequest) -> Listed:
    return listed(repository(answer, errand).child("issues"))


def _is_cursor_refused(answer: Answer) -> bool:
    return any(error.type == CURSOR_REFUSED for error in answer.verdict.errors)


def _page(page: Listed, errand: PageRequest, gathered: Gathered) -> Page:
    return Page(
        facts=gathered.facts,
        cursor=None if page.after is None else f"{_read_until(page, errand)} {page.after}",
        items=len(page.nodes),
        total=page.total,
        skipped=gathered.skipped,
    )


def _read_until(page: Listed, errand: PageRequest) -> str:
    """The last time on the page, as GitHub writes it; where it shows none, the one before."""
    times = (parse_time(node.get("updatedAt")) for node in page.nodes if isinstance(node, Mapping))
    latest = max((time for time in times if time), default=None)
    return write_time(latest) if latest else errand.cursor.partition(" ")[0]


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


def _facts(found: PayloadReader, errand: PageRequest) -> Iterable[Fact]:
    return issue_facts(found, repository_id=errand.repository_id) if is_wanted(found, errand) else ()

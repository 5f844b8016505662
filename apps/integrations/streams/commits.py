"""Commits of the default branch, newest first: the history of what was its head at the start.

The cursor is the head whose history is read, and GitHub's own: what is pushed meanwhile moves nothing. A history has no
dates but its commits' own: `since` and `until` go by the committer's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from apps.activity.facts import Fact
from apps.activity.models import Commit
from apps.github.objects.graphql_as_rest import commit
from apps.github.objects.repositories import history_facts, rest_commit
from apps.github.payload import PayloadReader, parse_time, write_time
from apps.github.probes import ProbedStream, StreamProbe
from apps.github.responses import Answer, ResponseKind
from apps.integrations.reader import Page, PageRequest, Reader, RequestFailedError
from apps.integrations.streams.paging import Items, ListPage, read_item, read_items, read_list, read_repository
from apps.integrations.streams.stream import ReadCost, Stream, Total

HEAD = "HEAD"
EMPTY = Page(facts=(), cursor=None, items=0, total=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A page of the history of one commit."""

    answer: Answer
    head: str
    page: ListPage


def read(request: PageRequest, reader: Reader) -> Page:
    history = _ask(request, reader, first=request.page_size)
    if history is None:
        return EMPTY
    items = read_items(
        history.page.nodes,
        answer=history.answer,
        noun="commit",
        key="oid",
        facts_of=lambda found: history_facts(found, repository_id=request.repository_id),
        shape=commit,
    )
    return _page(history, items)


def skip_item(request: PageRequest, reader: Reader) -> Page:
    history = _ask(request, reader, first=1, is_whole=False)
    if history is None or not history.page.nodes:
        return _page(history, Items()) if history else EMPTY
    sha = history.page.nodes[0]["oid"]
    items = read_item(
        f"/commits/{sha}",
        what=f"commit {sha}",
        request=request,
        reader=reader,
        facts_of=lambda found: _rest_facts(found, request),
    )
    return _page(history, items)


def _ask(request: PageRequest, reader: Reader, *, first: int, is_whole: bool = True) -> History | None:
    """Return the page at the cursor; from the new head on where the old one is no more. None of an empty repository."""
    head, _, after = request.cursor.partition(" ")
    if head:
        history = _read(request, reader, first=first, is_whole=is_whole, expression=head, after=after)
        if history is not None:
            return history
    return _read(request, reader, first=first, is_whole=is_whole, expression=HEAD, after=None)


def _read(
    request: PageRequest, reader: Reader, *, first: int, is_whole: bool, expression: str, after: str | None
) -> History | None:
    variables = {
        "owner": request.owner,
        "name": request.name,
        "expression": expression,
        "first": first,
        "isWhole": is_whole,
        "after": after,
        "since": write_time(request.since) if request.since else None,
        "until": write_time(request.until) if request.until else None,
    }
    answer = reader.graphql("commit_page", variables)
    found = read_repository(answer, request).child_or_none("object")
    if found is None:
        _refuse_silence(answer)
        return None
    return History(answer=answer, head=found.sha("oid"), page=read_list(found.child("history")))


def _refuse_silence(answer: Answer) -> None:
    """RequestFailedError where there may be commits that we are not shown: that is no empty repository."""
    if answer.errors:
        raise RequestFailedError(replace(answer, result=replace(answer.result, kind=ResponseKind.FORBIDDEN), data=None))


def _page(history: History, items: Items) -> Page:
    page = history.page
    return Page(
        facts=items.facts,
        cursor=None if page.after is None else f"{history.head} {page.after}",
        items=len(page.nodes),
        total=page.total,
        skipped=items.skipped,
    )


def _rest_facts(found: PayloadReader, request: PageRequest) -> Iterable[Fact]:
    shaped = found.alike(rest_commit(found), path=found.path)
    return history_facts(shaped, repository_id=request.repository_id)


def _probed(found: Mapping[str, Any]) -> ProbedStream:
    head = ((found["defaultBranchRef"] or {}).get("target") or {}).get("oid")
    return ProbedStream(mark={"head": head}, moved_at=parse_time(found["pushedAt"]))


COMMITS = Stream(
    name="commits",
    read=read,
    skip_item=skip_item,
    events=("push",),
    entities=("commit",),
    model=Commit,
    probe=StreamProbe(read=_probed),
    total=Total(
        fields="defaultBranchRef { target { ... on Commit { history(since: $committedSince) { totalCount } } } }",
        path=("defaultBranchRef", "target", "history", "totalCount"),
        is_bounded=True,
    ),
    cost=ReadCost(nested=1),
    overlap=timedelta(days=14),  # a history goes by its commits' own dates, and a branch lands with earlier ones
)

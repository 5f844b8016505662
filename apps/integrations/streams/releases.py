"""Releases, newest first, as far as GitHub lists them.

The cursor is how many were read, and GitHub's own. GitHub has no order by what was updated last: with `since`, reading
ends with a page that is older as a whole.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from apps.activity.facts import Fact, ReleaseDeleted
from apps.activity.models import Release
from apps.github.objects.graphql_as_rest import release
from apps.github.objects.repositories import release_facts
from apps.github.payload import PayloadReader, parse_time
from apps.github.probes import newest_of
from apps.github.responses import Answer
from apps.integrations.reader import Page, PageRequest, Reader, Skipped
from apps.integrations.streams.paging import (
    Items,
    ListPage,
    is_wanted,
    read_item,
    read_items,
    read_list,
    read_repository,
)
from apps.integrations.streams.stream import Deletable, ReadCost, Stream, Total

MOST_LISTED = 10_000
"""https://docs.github.com/rest/releases/releases: only the newest ten thousand can be had."""


def read(request: PageRequest, reader: Reader) -> Page:
    answer, page = _ask(request, reader, first=min(request.page_size, MOST_LISTED - _seen(request)))
    items = read_items(
        page.nodes,
        answer=answer,
        noun="release",
        key="databaseId",
        facts_of=lambda found: _facts(found, request),
        shape=release,
    )
    return _page(page, request, items, is_last=_is_older(page, request.since))


def skip_item(request: PageRequest, reader: Reader) -> Page:
    _, page = _ask(request, reader, first=1, is_whole=False)
    if not page.nodes:
        return _page(page, request, Items())
    identity = page.nodes[0]["databaseId"]
    items = read_item(
        f"/releases/{identity}",
        what=f"release {identity}",
        request=request,
        reader=reader,
        facts_of=lambda found: _facts(found, request),
    )
    return _page(page, request, items)


def _ask(request: PageRequest, reader: Reader, *, first: int, is_whole: bool = True) -> tuple[Answer, ListPage]:
    after = request.cursor.partition(" ")[2] or None
    named = {"owner": request.owner, "name": request.name}
    answer = reader.graphql("release_page", {**named, "first": first, "after": after, "isWhole": is_whole})
    return answer, read_list(read_repository(answer, request).child("releases"))


def _seen(request: PageRequest) -> int:
    return int(request.cursor.partition(" ")[0] or 0)


def _page(page: ListPage, request: PageRequest, items: Items, *, is_last: bool = False) -> Page:
    seen = _seen(request) + len(page.nodes)
    goes_on = page.after is not None and not is_last
    is_cut = goes_on and seen >= MOST_LISTED
    cut = (Skipped(what=f"releases before the newest {MOST_LISTED}", why="GitHub lists no more"),) if is_cut else ()
    return Page(
        facts=items.facts,
        cursor=f"{seen} {page.after}" if goes_on and not is_cut else None,
        items=len(page.nodes),
        total=page.total,
        skipped=(*items.skipped, *cut),
    )


def _is_older(page: ListPage, since: datetime | None) -> bool:
    """Return whether everything on the page was made and last changed before."""
    return since is not None and all(_is_before(node, since) for node in page.nodes)


def _is_before(node: Any, since: datetime) -> bool:
    times = [parse_time(node.get(name)) for name in ("createdAt", "updatedAt")] if isinstance(node, Mapping) else [None]
    return all(time is not None and time < since for time in times)


def _facts(found: PayloadReader, request: PageRequest) -> Iterable[Fact]:
    return release_facts(found, repository_id=request.repository_id) if is_wanted(found, request) else ()


def _deleted(row: Release, at: datetime) -> Fact:
    return ReleaseDeleted(github_id=row.github_id, repository_id=row.repository_id, deleted_at=at)


RELEASES = Stream(
    name="releases",
    read=read,
    skip_item=skip_item,
    events=("release",),
    entities=("release",),
    model=Release,
    probe=newest_of("releases"),
    total=Total.of_list("releases"),
    cost=ReadCost(),
    deletable=Deletable(
        noun="release",
        model=Release,
        path="/releases",
        permission="contents",
        deleted=_deleted,
        made="published_at",
        excluded={"is_draft": True},  # GitHub hides drafts from those who may not write: they would all seem deleted
        most_pages=100,
    ),
)

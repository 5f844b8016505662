"""The walk through releases, newest first, as far as GitHub lists them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from apps.activity.facts import Fact
from apps.github.answers import Answer
from apps.github.objects.graphql import release
from apps.github.objects.repositories import release_facts
from apps.github.payload import PayloadReader, parse_time
from apps.integrations.reader import Page, PageRequest, Reader, Skipped
from apps.integrations.streams.paging import Gathered, Listed, gather, gather_alone, is_wanted, listed, repository

MOST_LISTED = 10_000
"""https://docs.github.com/rest/releases/releases: only the newest ten thousand can be had."""


class Releases:
    """Its cursor is how many releases were read, and GitHub's own.

    GitHub has no order by what was updated last: with `since`, the walk ends with a page that is older as a whole.
    """

    page_size = 100
    most = 100

    def read(self, request: PageRequest, reader: Reader) -> Page:
        answer, page = _ask("release_page", request, reader, first=min(request.page_size, MOST_LISTED - _seen(request)))
        gathered = gather(
            page.nodes,
            answer=answer,
            noun="release",
            key="databaseId",
            facts_of=lambda found: _facts(found, request),
            shape=release,
        )
        return _page(page, request, gathered, is_last=_is_older(page, request.since))

    def step_over(self, request: PageRequest, reader: Reader) -> Page:
        _, page = _ask("release_place", request, reader, first=1)
        if not page.nodes:
            return _page(page, request, Gathered())
        identity = page.nodes[0]["databaseId"]
        gathered = gather_alone(
            f"/releases/{identity}",
            what=f"release {identity}",
            request=request,
            reader=reader,
            facts_of=lambda found: _facts(found, request),
        )
        return _page(page, request, gathered)


def _ask(document: str, request: PageRequest, reader: Reader, *, first: int) -> tuple[Answer, Listed]:
    _, _, after = request.cursor.partition(" ")
    variables = {"owner": request.owner, "name": request.name, "first": first, "after": after or None}
    answer = reader.graphql(document, variables)
    return answer, listed(repository(answer, request).child("releases"))


def _seen(request: PageRequest) -> int:
    return int(request.cursor.partition(" ")[0] or 0)


def _page(page: Listed, request: PageRequest, gathered: Gathered, *, is_last: bool = False) -> Page:
    seen = _seen(request) + len(page.nodes)
    goes_on = page.after is not None and not is_last
    is_cut = goes_on and seen >= MOST_LISTED
    cut = (Skipped(what=f"releases before the newest {MOST_LISTED}", why="GitHub lists no more"),) if is_cut else ()
    return Page(
        facts=gathered.facts,
        cursor=f"{seen} {page.after}" if goes_on and not is_cut else None,
        items=len(page.nodes),
        total=page.total,
        skipped=(*gathered.skipped, *cut),
    )


def _is_older(page: Listed, since: datetime | None) -> bool:
    """Whether everything on the page was made and last changed before."""
    return since is not None and all(_is_before(node, since) for node in page.nodes)


def _is_before(node: Any, since: datetime) -> bool:
    times = [parse_time(node.get(name)) for name in ("createdAt", "updatedAt")] if isinstance(node, Mapping) else [None]
    return all(time is not None and time < since for time in times)


def _facts(found: PayloadReader, request: PageRequest) -> Iterable[Fact]:
    return release_facts(found, repository_id=request.repository_id) if is_wanted(found, request) else ()

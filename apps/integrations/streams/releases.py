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

    def read(self, errand: PageRequest, reader: Reader) -> Page:
        answer, page = _ask("release_page", errand, reader, first=min(errand.page_size, MOST_LISTED - _seen(errand)))
        gathered = gather(
            page.nodes,
            answer=answer,
            noun="release",
            key="databaseId",
            facts_of=lambda found: _facts(found, errand),
            shape=release,
        )
        return _page(page, errand, gathered, is_last=_is_older(page, errand.since))

    def step_over(self, errand: PageRequest, reader: Reader) -> Page:
        _, page = _ask("release_place", errand, reader, first=1)
        if not page.nodes:
            return _page(page, errand, Gathered())
        identity = page.nodes[0]["databaseId"]
        gathered = gather_alone(
            f"/releases/{identity}",
            what=f"release {identity}",
            errand=errand,
            reader=reader,
            facts_of=lambda found: _facts(found, errand),
        )
        return _page(page, errand, gathered)


def _ask(document: str, errand: PageRequest, reader: Reader, *, first: int) -> tuple[Answer, Listed]:
    _, _, after = errand.cursor.partition(" ")
    variables = {"owner": errand.owner, "name": errand.name, "first": first, "after": after or None}
    answer = reader.graphql(document, variables)
    return answer, listed(repository(answer, errand).child("releases"))


def _seen(errand: PageRequest) -> int:
    return int(errand.cursor.partition(" ")[0] or 0)


def _page(page: Listed, errand: PageRequest, gathered: Gathered, *, is_last: bool = False) -> Page:
    seen = _seen(errand) + len(page.nodes)
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


def _facts(found: PayloadReader, errand: PageRequest) -> Iterable[Fact]:
    return release_facts(found, repository_id=errand.repository_id) if is_wanted(found, errand) else ()

"""Paying for what a page left unfinished of a pull request, one request at a time."""

from dataclasses import replace
from typing import Any

from django.utils import timezone

from apps.github.answers import Answer
from apps.github.responses import REFUSALS, Kind
from apps.integrations.backfill.walking import Errand, Reader, Skipped, Unanswered
from apps.integrations.backfill.walks.pull_request_nodes import (
    Found,
    by_rest,
    errors_below,
    node_found,
    overflow_found,
)
from apps.integrations.backfill.walks.pull_request_place import Owed, Place
from apps.integrations.backfill.walks.pull_request_rest import MOST_TRIES, leave_out, read_part
from apps.integrations.backfill.walks.pull_request_sweeps import find_missing

SWITCHES = {"withLabels": "labels", "withReviews": "reviews", "withCommits": "commits", "withTimeline": "timelineItems"}
CURSORS = {
    "labelsAfter": "labels",
    "reviewsAfter": "reviews",
    "commitsAfter": "commits",
    "timelineAfter": "timelineItems",
}


def pay(owed: Owed, *, place: Place, errand: Errand, reader: Reader) -> Found:
    """Read what is owed; Unanswered where GitHub does not give it now."""
    match owed.part:
        case "lists":
            return _finish_lists(owed, errand=errand, reader=reader)
        case "whole":
            return _read_whole(owed, errand=errand, reader=reader)
        case "missing":
            return find_missing(owed, place=place, errand=errand, reader=reader)
    return read_part(owed, errand=errand, reader=reader)


def go_around(owed: Owed) -> Found:
    """Do without what cannot be read or kept: without GraphQL, then without REST."""
    if owed.part in {"lists", "whole"}:
        return Found(owed=(by_rest(owed.number, is_counted=True),))
    if owed.part == "missing":
        return Found(skipped=(Skipped(what="pull requests that a page left out", why="nor are they listed"),))
    return leave_out(owed, why="neither GraphQL nor REST can show it")


def _finish_lists(owed: Owed, *, errand: Errand, reader: Reader) -> Found:
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
        repository_id=errand.repository_id,
        observed_at=answer.observed_at or timezone.now(),
    )


def _begin_again(owed: Owed) -> Found:
    """It changed meanwhile: lists of two heads are no list."""
    if owed.tries == MOST_TRIES:
        what = f"the longer lists of pull request {owed.number}"
        return Found(skipped=(Skipped(what=what, why="it changed each time they were read"),))
    return Found(owed=(Owed(part="whole", number=owed.number, id=owed.id, tries=owed.tries + 1),))


def _read_whole(owed: Owed, *, errand: Errand, reader: Reader) -> Found:
    answer = _ask("pull_requests_by_id", {"ids": [owed.id]}, reader=reader)
    node = answer.data["nodes"][0] if answer else None
    if answer is None or not node:
        return Found(owed=(by_rest(owed.number, is_counted=True),))
    found = node_found(
        node,
        errors=errors_below(answer, ("nodes", 0)),
        repository_id=errand.repository_id,
        observed_at=answer.observed_at or timezone.now(),
        tries=owed.tries,
    )
    return replace(found, items=0)


def _ask(name: str, variables: dict[str, Any], *, reader: Reader) -> Answer | None:
    """None where GraphQL does not show it, however small the question: REST may, or tells what is the matter."""
    try:
        return reader.graphql(name, variables)
    except Unanswered as unanswered:
        if unanswered.answer.kind in {*REFUSALS, Kind.SHRINK}:
            return None
        raise

"""One pull request by REST, where GraphQL does not show it: itself, then its lists page by page, to the same facts."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from apps.activity.facts import Fact
from apps.github.answers import Answer
from apps.github.objects.pull_requests import (
    commit_facts,
    commit_list,
    merging_facts,
    pull_request_facts,
    review_facts,
    timeline_facts,
)
from apps.github.payload import PayloadReader
from apps.github.responses import REFUSALS
from apps.integrations.reader import PageRequest, Reader, RequestFailedError, Skipped
from apps.integrations.streams.paging import opened
from apps.integrations.streams.pull_request_parts import Found, PendingPart
from apps.webhooks.parsing import UnusablePayloadError

MOST_TRIES = 3
MOST_COMMITS = 250
"""A list of commits is cut off there: https://docs.github.com/rest/pulls/pulls#list-commits-on-a-pull-request"""
PATHS = {
    "pull": "/pulls/{number}",
    "reviews": "/pulls/{number}/reviews",
    "commits": "/pulls/{number}/commits",
    "timeline": "/issues/{number}/timeline",
}
PARTS = tuple(PATHS)
Facts = Callable[[PayloadReader, PayloadReader, int, int], Iterator[Fact]]


def read_part(owed: PendingPart, *, request: PageRequest, reader: Reader) -> Found:
    """One request, and what is owed after it; a part that GitHub refuses is left out and named."""
    path = owed.path or f"{request.address}{PATHS[owed.part].format(number=owed.number)}"
    parameters = None if owed.path or owed.part == "pull" else {"per_page": 100}
    try:
        answer = reader.get(path, parameters)
    except RequestFailedError as unanswered:
        _insist_on_refusal(unanswered, request=request, reader=reader)
        return leave_out(owed, why=unanswered.answer.verdict.message)
    if owed.part == "pull":
        return _pull_found(answer, owed, repository_id=request.repository_id)
    return _members_found(answer, owed, repository_id=request.repository_id)


def leave_out(owed: PendingPart, *, why: str) -> Found:
    """Go on without this part; without the pull request itself there is nothing to go on with."""
    skipped = (Skipped(what=_name_of_part(owed), why=why),)
    return Found(skipped=skipped) if owed.part == "pull" else Found(owed=_next_part(owed), skipped=skipped)


def _insist_on_refusal(unanswered: RequestFailedError, *, request: PageRequest, reader: Reader) -> None:
    """Raise whatever is not about this pull request alone: where the repository is refused too, nothing is skipped."""
    if unanswered.answer.kind not in REFUSALS:
        raise unanswered
    reader.get(request.address)


def _pull_found(answer: Answer, owed: PendingPart, *, repository_id: int) -> Found:
    try:
        pull = opened(answer.data, path="pull_request", answer=answer)
        facts = (
            *pull_request_facts(pull, repository_id=repository_id),
            *merging_facts(pull, repository_id=repository_id),
        )
        author = pull.child_or_none("user")
        begun = replace(
            owed,
            head_sha=pull.child("head").sha("sha"),
            updated_at=pull.text("updated_at"),
            author=author.text("login") if author else "",
            count=pull.count("commits"),
        )
    except UnusablePayloadError as unusable:
        return leave_out(owed, why=str(unusable))
    return Found(facts=facts, owed=_next_part(begun), items=int(not owed.is_counted))


def _members_found(answer: Answer, owed: PendingPart, *, repository_id: int) -> Found:
    author = {"login": owed.author} if owed.author else None
    shaped = {"number": owed.number, "updated_at": owed.updated_at, "head": {"sha": owed.head_sha}, "user": author}
    pull, facts, skipped = opened(shaped, path="pull_request", answer=answer), list[Fact](), list[Skipped]()
    members = answer.data if isinstance(answer.data, list) else [answer.data]
    for position, member in enumerate(members, start=owed.listed):
        try:
            facts += FACTS[owed.part](opened(member, path="pull_request", answer=answer), pull, repository_id, position)
        except UnusablePayloadError as unusable:
            skipped.append(Skipped(what=_name_of_part(owed), why=str(unusable)))
    found = Found(facts=tuple(facts), owed=_rest_of_part(answer, owed), skipped=tuple(skipped))
    if owed.part != "commits":
        return found
    listed, has_lost = owed.listed + len(members), owed.has_lost or bool(skipped)
    read = replace(owed, listed=listed, has_lost=has_lost, path=answer.next_path or "")
    return _commits_found(found, read, last=members[-1] if members else None, pull=pull, repository_id=repository_id)


def _commits_found(found: Found, read: PendingPart, *, last: Any, pull: PayloadReader, repository_id: int) -> Found:
    """The list ends with the head that was read, or the head has moved meanwhile, or REST does not tell them all."""
    if read.path:
        return replace(found, owed=(read,))
    is_of_head = isinstance(last, Mapping) and last.get("sha") == read.head_sha
    if is_of_head and read.listed == read.count and not read.has_lost:
        told = commit_list(pull, repository_id=repository_id, count=read.listed)
        return replace(found, facts=(*found.facts, told))
    if is_of_head or read.listed >= MOST_COMMITS or read.has_lost or read.tries == MOST_TRIES:
        return found
    return replace(found, owed=(PendingPart(part="pull", number=read.number, tries=read.tries + 1, is_counted=True),))


def _rest_of_part(answer: Answer, owed: PendingPart) -> tuple[PendingPart, ...]:
    return (replace(owed, path=answer.next_path),) if answer.next_path else _next_part(owed)


def _name_of_part(owed: PendingPart) -> str:
    name = f"pull request {owed.number}"
    return name if owed.part == "pull" else f"part of the {owed.part} of {name}"


def _next_part(owed: PendingPart) -> tuple[PendingPart, ...]:
    following = PARTS[PARTS.index(owed.part) + 1 :]
    return (replace(owed, part=following[0], path=""),) if following else ()


def _review(member: PayloadReader, pull: PayloadReader, repository_id: int, _: int) -> Iterator[Fact]:
    return review_facts(member, pull_request=pull, repository_id=repository_id)


def _commit(member: PayloadReader, pull: PayloadReader, repository_id: int, position: int) -> Iterator[Fact]:
    return commit_facts(member, pull_request=pull, repository_id=repository_id, position=position)


def _item(member: PayloadReader, pull: PayloadReader, repository_id: int, _: int) -> Iterator[Fact]:
    return timeline_facts(member, repository_id=repository_id, number=pull.count("number"))


FACTS: dict[str, Facts] = {"reviews": _review, "commits": _commit, "timeline": _item}

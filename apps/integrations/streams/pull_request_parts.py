"""The parts of a pull request: what GraphQL showed of it, what is pending then, and how REST shows it instead."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from apps.activity.facts import Fact
from apps.github.objects.graphql_as_rest import (
    LISTS,
    pull_request_node_facts,
    pull_request_overflow_facts,
    unfinished,
    without,
)
from apps.github.objects.pull_requests import (
    commit_facts,
    commit_list,
    merging_facts,
    pull_request_facts,
    review_facts,
    timeline_facts,
)
from apps.github.payload import PayloadReader
from apps.github.responses import REFUSALS, Answer, GraphQLError, Path
from apps.integrations.reader import PageRequest, Reader, RequestFailedError, Skipped
from apps.integrations.streams.paging import item_reader
from apps.webhooks.parsing import UnusablePayloadError


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingPart:
    """What is still to be read of a pull request that a page showed. Fetching it takes one request.

    `part` says which: `lists` (the rest of them, each `after` a cursor), `whole` (by its node id), `missing` (which
    pull requests GitHub left out of a page), and by REST `pull`, `reviews`, `commits` and `timeline` in this order.
    """

    part: str
    number: int = 0
    id: str = ""
    updated_at: str = ""
    head_sha: str = ""
    """With `updated_at`: whether it is still what it was when reading its lists began."""
    author: str = ""
    """The login of who opened it."""
    after: Mapping[str, str | None] = field(default_factory=dict)
    path: str = ""
    """The next page of a REST list; empty for the first."""
    listed: int = 0
    """Commits read so far."""
    has_lost: bool = False
    """Whether one of the commits could not be shown."""
    count: int = 0
    """How many commits there are, or how many pull requests were on the page."""
    seen: tuple[int, ...] = ()
    """The pull requests that GitHub did show on the page."""
    tries: int = 0
    is_counted: bool = False
    """Whether it is among the items of a page already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestCursor:
    """How far the passes through the list are, and what is pending.

    A pass goes by creation, or, with `down_to`, by update from the top down to that time. `after` is GitHub's cursor,
    None at the start of a pass; `left_top_at` is when its first page was read.
    """

    number: int = 1
    down_to: datetime | None = None
    left_top_at: datetime | None = None
    after: str | None = None
    is_over: bool = False
    pending: tuple[PendingPart, ...] = ()

    @classmethod
    def from_text(cls, text: str) -> "PullRequestCursor":
        """Return the cursor in this text."""
        read = json.loads(text)
        for name in ("down_to", "left_top_at"):
            read[name] = datetime.fromisoformat(read[name]) if name in read else None
        pending = (PendingPart(**{**one, "seen": tuple(one.get("seen", ()))}) for one in read.pop("pending"))
        return cls(**read, pending=tuple(pending))

    def replace_first(self, *pending: PendingPart) -> "PullRequestCursor":
        """Return the cursor with these in place of the first pending part."""
        return replace(self, pending=(*pending, *self.pending[1:]))

    def as_text(self) -> str | None:
        """Its text; None at the end."""
        if self.is_over and not self.pending:
            return None
        written = {
            **_without_defaults(replace(self, pending=())),
            "pending": [_without_defaults(one) for one in self.pending],
        }
        return json.dumps(written, default=datetime.isoformat, separators=(",", ":"))


def _without_defaults(value: PullRequestCursor | PendingPart) -> dict[str, Any]:
    """Return the values that are stored: those that differ from their defaults, which are empty."""
    return {name: field for name, field in asdict(value).items() if field}


Node = Mapping[str, Any]
WORDS = {"labels": "labels", "reviews": "reviews", "commits": "commits", "timelineItems": "timeline"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What reading found: facts, what is pending now, and what is left out. `items` counts pull requests."""

    facts: tuple[Fact, ...] = ()
    pending: tuple[PendingPart, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    items: int = 0


def together(found: Iterable[Found]) -> Found:
    """Return all of these as one."""
    pieces = list(found)
    return Found(
        facts=tuple(fact for piece in pieces for fact in piece.facts),
        pending=tuple(pending for piece in pieces for pending in piece.pending),
        skipped=tuple(skipped for piece in pieces for skipped in piece.skipped),
        items=sum(piece.items for piece in pieces),
    )


def errors_below(answer: Answer, at: Path) -> list[GraphQLError]:
    """Return the errors of what is at this path, with the rest of their paths."""
    found = (error for error in answer.errors if error.path[: len(at)] == at)
    return [replace(error, path=error.path[len(at) :]) for error in found]


def by_rest(number: int, *, is_counted: bool = False) -> PendingPart:
    """GraphQL does not show this pull request: REST is asked."""
    return PendingPart(part="pull", number=number, is_counted=is_counted)


def node_found(
    node: Node, *, errors: Sequence[GraphQLError], repository_id: int, observed_at: datetime, tries: int = 0
) -> Found:
    """Return a pull request and the pending parts of its lists. Null is unknown: it is read by REST."""
    lost = _lost_items(errors)
    if lost is None:
        return Found(pending=(by_rest(node["number"]),))
    node = without(node, lost)
    try:
        facts = tuple(pull_request_node_facts(node, repository_id=repository_id, observed_at=observed_at))
    except UnusablePayloadError as unusable:
        return Found(skipped=(Skipped(what=name_of(node), why=str(unusable)),))
    return Found(facts=facts, pending=_rest_of_lists(node, tries=tries), skipped=_left_out(node, errors), items=1)


def overflow_found(
    node: Node, pending: PendingPart, *, errors: Sequence[GraphQLError], repository_id: int, observed_at: datetime
) -> Found:
    """Return what a page of overflow adds, and what is still pending after it."""
    lost = _lost_items(errors)
    if lost is None:
        return Found(pending=(by_rest(pending.number, is_counted=True),))
    node, has_lost = without(node, lost), pending.has_lost or "commits" in lost
    try:
        facts = tuple(
            pull_request_overflow_facts(
                node, repository_id=repository_id, observed_at=observed_at, listed=pending.listed, has_lost=has_lost
            )
        )
    except UnusablePayloadError as unusable:
        return Found(skipped=(Skipped(what=f"the longer lists of {name_of(node)}", why=str(unusable)),))
    listed = pending.listed + len((node.get("commits") or {}).get("nodes") or ())
    after = unfinished(node)
    left = replace(pending, after=after, listed=listed, has_lost=has_lost)
    return Found(facts=facts, pending=(left,) if after else (), skipped=_left_out(node, errors))


def name_of(node: Node) -> str:
    return f"pull request {node.get('number') or node.get('id')}"


def _rest_of_lists(node: Node, *, tries: int) -> tuple[PendingPart, ...]:
    after: dict[str, str | None] = dict(unfinished(node))
    if not after:
        return ()
    if "labels" in after:
        after["labels"] = None  # recorded only as a whole; GitHub allows no more than one page of overflow holds
    rest = PendingPart(
        part="lists",
        number=node["number"],
        id=node["id"],
        updated_at=node["updatedAt"],
        head_sha=node["headRefOid"],
        after=after,
        listed=len(node["commits"]["nodes"]),
        has_lost=bool(node["commits"].get("has_lost")),
        tries=tries,
    )
    return (rest,)


def _lost_items(errors: Iterable[GraphQLError]) -> dict[str, set[int]] | None:
    """Return the positions of the items in its lists that errors name, or name a part of; None if they name others."""
    lost: dict[str, set[int]] = defaultdict(set)
    for error in errors:
        match error.path:
            case (str(name), "nodes", int(position), *_) if name in LISTS:
                lost[name].add(position)
            case _:
                return None
    return lost


def _left_out(node: Node, errors: Iterable[GraphQLError]) -> tuple[Skipped, ...]:
    said = {f"part of the {WORDS[str(error.path[0])]} of {name_of(node)}": error.message for error in errors}
    return tuple(Skipped(what=what, why=why) for what, why in said.items())


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


def read_part(pending: PendingPart, *, request: PageRequest, reader: Reader) -> Found:
    """Send one request and return what is pending after it; a part that GitHub refuses is left out and named."""
    path = pending.path or f"{request.address}{PATHS[pending.part].format(number=pending.number)}"
    parameters = None if pending.path or pending.part == "pull" else {"per_page": 100}
    try:
        answer = reader.get(path, parameters)
    except RequestFailedError as unanswered:
        _insist_on_refusal(unanswered, request=request, reader=reader)
        return leave_out(pending, why=unanswered.answer.message)
    if pending.part == "pull":
        return _pull_found(answer, pending, repository_id=request.repository_id)
    return _members_found(answer, pending, repository_id=request.repository_id)


def leave_out(pending: PendingPart, *, why: str) -> Found:
    """Go on without this part; without the pull request itself there is nothing to go on with."""
    skipped = (Skipped(what=_name_of_part(pending), why=why),)
    return Found(skipped=skipped) if pending.part == "pull" else Found(pending=_next_part(pending), skipped=skipped)


def _insist_on_refusal(unanswered: RequestFailedError, *, request: PageRequest, reader: Reader) -> None:
    """Raise whatever is not about this pull request alone: where the repository is refused too, nothing is skipped."""
    if unanswered.answer.kind not in REFUSALS:
        raise unanswered
    reader.get(request.address)


def _pull_found(answer: Answer, pending: PendingPart, *, repository_id: int) -> Found:
    try:
        pull = item_reader(answer.data, path="pull_request", answer=answer)
        facts = (
            *pull_request_facts(pull, repository_id=repository_id),
            *merging_facts(pull, repository_id=repository_id),
        )
        author = pull.child_or_none("user")
        remaining = replace(
            pending,
            head_sha=pull.child("head").sha("sha"),
            updated_at=pull.text("updated_at"),
            author=author.text("login") if author else "",
            count=pull.count("commits"),
        )
    except UnusablePayloadError as unusable:
        return leave_out(pending, why=str(unusable))
    return Found(facts=facts, pending=_next_part(remaining), items=int(not pending.is_counted))


def _members_found(answer: Answer, pending: PendingPart, *, repository_id: int) -> Found:
    author = {"login": pending.author} if pending.author else None
    shaped = {
        "number": pending.number,
        "updated_at": pending.updated_at,
        "head": {"sha": pending.head_sha},
        "user": author,
    }
    pull, facts, skipped = item_reader(shaped, path="pull_request", answer=answer), list[Fact](), list[Skipped]()
    members = answer.data if isinstance(answer.data, list) else [answer.data]
    for position, member in enumerate(members, start=pending.listed):
        try:
            facts += FACTS[pending.part](
                item_reader(member, path="pull_request", answer=answer), pull, repository_id, position
            )
        except UnusablePayloadError as unusable:
            skipped.append(Skipped(what=_name_of_part(pending), why=str(unusable)))
    found = Found(facts=tuple(facts), pending=_rest_of_part(answer, pending), skipped=tuple(skipped))
    if pending.part != "commits":
        return found
    listed, has_lost = pending.listed + len(members), pending.has_lost or bool(skipped)
    read = replace(pending, listed=listed, has_lost=has_lost, path=answer.next_path or "")
    return _commits_found(found, read, last=members[-1] if members else None, pull=pull, repository_id=repository_id)


def _commits_found(found: Found, read: PendingPart, *, last: Any, pull: PayloadReader, repository_id: int) -> Found:
    """Return the facts of the last page: whether the list is complete for the head that was read."""
    if read.path:
        return replace(found, pending=(read,))
    is_of_head = isinstance(last, Mapping) and last.get("sha") == read.head_sha
    if is_of_head and read.listed == read.count and not read.has_lost:
        complete = commit_list(pull, repository_id=repository_id, count=read.listed)
        return replace(found, facts=(*found.facts, complete))
    if is_of_head or read.listed >= MOST_COMMITS or read.has_lost or read.tries == MOST_TRIES:
        return found
    return replace(
        found, pending=(PendingPart(part="pull", number=read.number, tries=read.tries + 1, is_counted=True),)
    )


def _rest_of_part(answer: Answer, pending: PendingPart) -> tuple[PendingPart, ...]:
    return (replace(pending, path=answer.next_path),) if answer.next_path else _next_part(pending)


def _name_of_part(pending: PendingPart) -> str:
    name = f"pull request {pending.number}"
    return name if pending.part == "pull" else f"part of the {pending.part} of {name}"


def _next_part(pending: PendingPart) -> tuple[PendingPart, ...]:
    following = PARTS[PARTS.index(pending.part) + 1 :]
    return (replace(pending, part=following[0], path=""),) if following else ()


def _review(member: PayloadReader, pull: PayloadReader, repository_id: int, _: int) -> Iterator[Fact]:
    return review_facts(member, pull_request=pull, repository_id=repository_id)


def _commit(member: PayloadReader, pull: PayloadReader, repository_id: int, position: int) -> Iterator[Fact]:
    return commit_facts(member, pull_request=pull, repository_id=repository_id, position=position)


def _item(member: PayloadReader, pull: PayloadReader, repository_id: int, _: int) -> Iterator[Fact]:
    return timeline_facts(member, repository_id=repository_id, number=pull.count("number"))


FACTS: dict[str, Facts] = {"reviews": _review, "commits": _commit, "timeline": _item}

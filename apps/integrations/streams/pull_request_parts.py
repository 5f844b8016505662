"""What can be made of pull requests as GraphQL showed them, with or without parts of them. Pure."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from apps.activity.facts import Fact
from apps.github.answers import Answer
from apps.github.objects.graphql import LISTS, pull_request_node_facts, pull_request_overflow_facts, unfinished, without
from apps.github.responses import GraphQLError, Path
from apps.integrations.reader import Skipped
from apps.webhooks.parsing import UnusablePayloadError


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingPart:
    """What is still to be read of a pull request that the walk has passed. Paying for it takes one request.

    `part` says which: `lists` (the rest of them, each `after` a cursor), `whole` (by its node id), `missing` (which
    pull requests GitHub left out of a page), and by REST `pull`, `reviews`, `commits` and `timeline` in this order.
    """

    part: str
    number: int = 0
    id: str = ""
    updated_at: str = ""
    head_sha: str = ""
    """With `updated_at`: whether it is still what it was when its lists were begun."""
    author: str = ""
    """The login of who opened it."""
    after: Mapping[str, str | None] = field(default_factory=dict)
    path: str = ""
    """The next page of a REST list; empty for the first."""
    listed: int = 0
    """Commits told so far."""
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
class Place:
    """Where the walk stands in its sweep through the list, and what it owes.

    A sweep goes by creation, or, with `down_to`, by update from the top down to that time. `after` is GitHub's cursor,
    None at the start of a sweep; `left_top_at` is when its first page was read.
    """

    sweep: int = 1
    down_to: datetime | None = None
    left_top_at: datetime | None = None
    after: str | None = None
    is_over: bool = False
    owed: tuple[PendingPart, ...] = ()

    def paid(self, *owed: PendingPart) -> "Place":
        """The first of what is owed is replaced by what it led to."""
        return replace(self, owed=(*owed, *self.owed[1:]))

    def cursor(self) -> str | None:
        """Its text; None at the end of the walk."""
        if self.is_over and not self.owed:
            return None
        told = {**_said(replace(self, owed=())), "owed": [_said(one) for one in self.owed]}
        return json.dumps(told, default=datetime.isoformat, separators=(",", ":"))


def _said(told: Place | PendingPart) -> dict[str, Any]:
    """What is worth writing down: every default is empty."""
    return {name: value for name, value in asdict(told).items() if value}


def read_place(cursor: str) -> Place:
    """The place that this text of ours tells."""
    told = json.loads(cursor)
    for name in ("down_to", "left_top_at"):
        told[name] = datetime.fromisoformat(told[name]) if name in told else None
    owed = tuple(PendingPart(**{**one, "seen": tuple(one.get("seen", ()))}) for one in told.pop("owed"))
    return Place(**told, owed=owed)


Node = Mapping[str, Any]
WORDS = {"labels": "labels", "reviews": "reviews", "commits": "commits", "timelineItems": "timeline"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What came of reading: facts, what is owed now, and what is left out. `items` counts pull requests."""

    facts: tuple[Fact, ...] = ()
    owed: tuple[PendingPart, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    items: int = 0


def together(found: Iterable[Found]) -> Found:
    """All of it as one."""
    pieces = list(found)
    return Found(
        facts=tuple(fact for piece in pieces for fact in piece.facts),
        owed=tuple(owed for piece in pieces for owed in piece.owed),
        skipped=tuple(skipped for piece in pieces for skipped in piece.skipped),
        items=sum(piece.items for piece in pieces),
    )


def errors_below(answer: Answer, at: Path) -> list[GraphQLError]:
    """The errors of what is at this path, with the rest of their paths."""
    found = (error for error in answer.verdict.errors if error.path[: len(at)] == at)
    return [replace(error, path=error.path[len(at) :]) for error in found]


def by_rest(number: int, *, is_counted: bool = False) -> PendingPart:
    """GraphQL does not show this pull request: REST is asked."""
    return PendingPart(part="pull", number=number, is_counted=is_counted)


def node_found(
    node: Node, *, errors: Sequence[GraphQLError], repository_id: int, observed_at: datetime, tries: int = 0
) -> Found:
    """A pull request and what its lists still owe. Null is unknown: without a part of its own it is read by REST."""
    lost = _lost_items(errors)
    if lost is None:
        return Found(owed=(by_rest(node["number"]),))
    node = without(node, lost)
    try:
        facts = tuple(pull_request_node_facts(node, repository_id=repository_id, observed_at=observed_at))
    except UnusablePayloadError as unusable:
        return Found(skipped=(Skipped(what=name_of(node), why=str(unusable)),))
    return Found(facts=facts, owed=_rest_of_lists(node, tries=tries), skipped=_left_out(node, errors), items=1)


def overflow_found(
    node: Node, owed: PendingPart, *, errors: Sequence[GraphQLError], repository_id: int, observed_at: datetime
) -> Found:
    """What a page of overflow adds, and what is still owed after it."""
    lost = _lost_items(errors)
    if lost is None:
        return Found(owed=(by_rest(owed.number, is_counted=True),))
    node, has_lost = without(node, lost), owed.has_lost or "commits" in lost
    try:
        facts = tuple(
            pull_request_overflow_facts(
                node, repository_id=repository_id, observed_at=observed_at, listed=owed.listed, has_lost=has_lost
            )
        )
    except UnusablePayloadError as unusable:
        return Found(skipped=(Skipped(what=f"the longer lists of {name_of(node)}", why=str(unusable)),))
    listed = owed.listed + len((node.get("commits") or {}).get("nodes") or ())
    after = unfinished(node)
    left = replace(owed, after=after, listed=listed, has_lost=has_lost)
    return Found(facts=facts, owed=(left,) if after else (), skipped=_left_out(node, errors))


def name_of(node: Node) -> str:
    return f"pull request {node.get('number') or node.get('id')}"


def _rest_of_lists(node: Node, *, tries: int) -> tuple[PendingPart, ...]:
    after: dict[str, str | None] = dict(unfinished(node))
    if not after:
        return ()
    if "labels" in after:
        after["labels"] = None  # told only as a whole; GitHub allows no more than one page of overflow holds
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
    """The items of its lists, by place, that errors name or name a part of; None where they name anything else."""
    lost: dict[str, set[int]] = defaultdict(set)
    for error in errors:
        match error.path:
            case (str(name), "nodes", int(place), *_) if name in LISTS:
                lost[name].add(place)
            case _:
                return None
    return lost


def _left_out(node: Node, errors: Iterable[GraphQLError]) -> tuple[Skipped, ...]:
    said = {f"part of the {WORDS[str(error.path[0])]} of {name_of(node)}": error.message for error in errors}
    return tuple(Skipped(what=what, why=why) for what, why in said.items())

"""GraphQL's objects in the shape of REST and webhooks. Pure.

Bots lose their `[bot]` there, a merged pull request has a state of its own, and ids of 64 bits are text.
"""

import re
from collections.abc import Iterator, Mapping, Set
from datetime import datetime
from functools import cache
from typing import Any

from apps.activity.facts import Fact
from apps.github.objects.pull_requests import (
    commit_facts,
    commit_list,
    labels,
    merging_facts,
    pull_request_facts,
    review_facts,
    timeline_facts,
)
from apps.github.payload import DEPLOYMENT, DEPLOYMENT_STATUS, PayloadReader, number_in

Node = Mapping[str, Any]

BOTS = ("BOT_", "MDM6Qm90")
"""The beginnings of the node ids of bots, today's and the older ones: `03:Bot` in base64."""


def account(actor: Node | None) -> dict[str, Any] | None:
    """Return an actor as REST's account; an enterprise's actor has no number, and so no account."""
    if actor is None:
        return None
    kind = actor.get("__typename")
    login = actor.get("login")
    if kind == "Bot" and isinstance(login, str) and not login.endswith("[bot]"):
        login = f"{login}[bot]"
    return {"id": actor.get("databaseId"), "login": login, "type": kind}


def user(node: Node | None) -> dict[str, Any] | None:
    """Return REST's account of a User of the schema, which may be a bot, by its login or node id."""
    if node is None:
        return None
    node_id, login = str(node.get("id")), str(node.get("login"))
    is_bot = login.endswith("[bot]") or node_id.startswith(BOTS)
    return account({**node, "__typename": "Bot" if is_bot else "User"})


def number_of_id(text: Any) -> Any:
    """Return the number of a `BigInt`, which comes as text; anything else is left for PayloadReader to refuse."""
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() else text


@cache
def rest_name(name: str) -> str:
    """Return REST's name of a member: `createdAt` is `created_at`."""
    return re.sub("[A-Z]", lambda capital: f"_{capital[0].lower()}", name)


def plain_members(node: Node) -> dict[str, Any]:
    """Return the members of a node that are neither objects nor lists, under REST's names."""
    return {rest_name(name): member for name, member in node.items() if not isinstance(member, (dict, list))}


def pull_request(node: Node, *, repository_id: int) -> dict[str, Any]:
    """Return the node in REST's shape; a list with more pages is not complete, so its group is left out."""
    merged_at, merge = node.get("mergedAt"), node.get("mergeCommit") or {}
    shaped = {
        **plain_members(node),
        "id": number_of_id(node.get("fullDatabaseId")),
        "state": "closed" if node.get("state") == "MERGED" else node.get("state"),
        "draft": node.get("isDraft"),
        "user": account(node.get("author")),
        "merged_by": account(node.get("mergedBy")),
        "merge_commit_sha": merge.get("oid") if merged_at else None,
        "commits": (node.get("commits") or {}).get("totalCount"),
        "base": {"ref": node.get("baseRefName")},
        "head": {
            "ref": node.get("headRefName"),
            "sha": node.get("headRefOid"),
            "repo": None if node.get("isCrossRepository") else {"id": repository_id},
        },
    }
    labels = node.get("labels")
    if "labels" in node and is_complete(labels):
        shaped["labels"] = labels["nodes"] if labels else []  # GitHub says null where there are none
    if "assignees" in node and is_complete(node["assignees"]):
        shaped["assignees"] = [user(one) for one in node["assignees"]["nodes"] if one]
    return shaped


def review(node: Node) -> dict[str, Any]:
    """Return a review in REST's shape."""
    return {
        **plain_members(node),
        "id": number_of_id(node.get("fullDatabaseId")),
        "user": account(node.get("author")),
        "commit_id": (node.get("commit") or {}).get("oid"),
    }


def issue(node: Node) -> dict[str, Any]:
    """Return an issue in REST's shape; its labels are complete."""
    labels = node.get("labels")
    return {
        **plain_members(node),
        "id": number_of_id(node.get("fullDatabaseId")),
        "user": account(node.get("author")),
        "labels": labels["nodes"] if labels else [],
    }


def release(node: Node) -> dict[str, Any]:
    """Return a release in REST's shape."""
    return {
        **plain_members(node),
        "id": node.get("databaseId"),
        "draft": node.get("isDraft"),
        "prerelease": node.get("isPrerelease"),
        "author": user(node.get("author")),
    }


def commit(node: Node) -> dict[str, Any]:
    """Return a commit of a history as a push lists it, with its author's account and parents, which a push has not."""
    signed = node.get("author") or {}
    author = user(signed.get("user"))
    return {
        "id": node.get("oid"),
        "message": node.get("message"),
        "author": {
            "name": signed.get("name"),
            "email": signed.get("email"),
            "username": author["login"] if author else None,
            "date": node.get("authoredDate"),
        },
        "committer": {"date": node.get("committedDate")},
        "account": author,
        "parent_count": (node.get("parents") or {}).get("totalCount"),
    }


def commit_of_pull_request(member: Node) -> dict[str, Any]:
    """Return a commit of a pull request in REST's shape; author and committer are accounts, if their e-mails are."""
    made = member["commit"]
    return {
        "sha": made.get("oid"),
        **{role: user((made.get(role) or {}).get("user")) for role in ("author", "committer")},
        "commit": {
            "author": {"date": made.get("authoredDate")},
            "committer": {"date": made.get("committedDate")},
            "message": made.get("message"),
        },
    }


EVENTS: Mapping[str, str] = {
    "ReadyForReviewEvent": "ready_for_review",
    "ConvertToDraftEvent": "convert_to_draft",
    "ReviewRequestedEvent": "review_requested",
    "ReviewRequestRemovedEvent": "review_request_removed",
    "ReviewDismissedEvent": "review_dismissed",
    "HeadRefForcePushedEvent": "head_ref_force_pushed",
    "ReopenedEvent": "reopened",
    "ClosedEvent": "closed",
    "AddedToMergeQueueEvent": "added_to_merge_queue",
    "RemovedFromMergeQueueEvent": "removed_from_merge_queue",
    "AutoMergeEnabledEvent": "auto_merge_enabled",
    "AutoSquashEnabledEvent": "auto_squash_enabled",
    "AutoRebaseEnabledEvent": "auto_rebase_enabled",
    "AutoMergeDisabledEvent": "auto_merge_disabled",
    "BaseRefChangedEvent": "base_ref_changed",
    "AutomaticBaseChangeSucceededEvent": "automatic_base_change_succeeded",
}


def timeline_item(member: Node) -> dict[str, Any]:
    """Return an item of a timeline in REST's shape, which has no reason of a removal and no former base."""
    shaped = {
        "event": EVENTS.get(member.get("__typename", "")),
        "created_at": member.get("createdAt"),
        "actor": account(member.get("actor")),
    }
    match member.get("__typename"):
        case "ReviewRequestedEvent" | "ReviewRequestRemovedEvent":
            shaped |= _requested(member.get("requestedReviewer"))
        case "ReviewDismissedEvent":
            reviewed = member.get("review") or {}  # none where the review itself was deleted since
            about = {"review_id": number_of_id(reviewed.get("fullDatabaseId"))}
            shaped["dismissed_review"] = {**about, "state": member.get("previousReviewState")}
        case "HeadRefForcePushedEvent":
            shaped["commit_id"] = (member.get("afterCommit") or {}).get("oid")
        case "RemovedFromMergeQueueEvent":
            shaped["reason"] = member.get("reason")
        case "BaseRefChangedEvent" | "AutomaticBaseChangeSucceededEvent":
            shaped["former_base"] = member.get("previousRefName") or member.get("oldBase")
    return shaped


def _requested(reviewer: Node | None) -> dict[str, Any]:
    if reviewer is not None and reviewer.get("__typename") == "Team":
        return {"requested_team": {"id": reviewer.get("databaseId"), "slug": reviewer.get("slug")}}
    return {"requested_reviewer": account(reviewer)}


LISTS = ("labels", "reviews", "commits", "timelineItems")


def is_complete(listed: Node | None) -> bool:
    """Return whether a list is complete: no next page, nothing that GitHub could not show."""
    return listed is None or not (listed["pageInfo"]["hasNextPage"] or listed.get("has_lost"))


def unfinished(node: Node) -> dict[str, str]:
    """Return the lists of a pull request that have a next page, each with its cursor."""
    found = {name: node[name]["pageInfo"] for name in LISTS if node.get(name)}
    return {name: page["endCursor"] for name, page in found.items() if page["hasNextPage"]}


def extended(node: Node, *, by: Node) -> dict[str, Any]:
    """Return the node with the items that a page of overflow adds to its lists."""
    lists = {name: {**by[name], "nodes": [*node[name]["nodes"], *by[name]["nodes"]]} for name in LISTS if by.get(name)}
    return {**node, **lists}


def without(node: Node, lost: Mapping[str, Set[int]]) -> dict[str, Any]:
    """Return the node without those items of its lists, by index, that GitHub could not show."""
    return {**node, **{name: _shortened(node[name], places) for name, places in lost.items()}}


def _shortened(listed: Node, lost: Set[int]) -> dict[str, Any]:
    kept = [member for place, member in enumerate(listed["nodes"]) if place not in lost]
    return {**listed, "nodes": kept, "has_lost": True}


def pull_request_node_facts(node: Node, *, repository_id: int, observed_at: datetime) -> Iterator[Fact]:
    """Yield the facts of a node of `fragment PullRequest`, read at GitHub's `Date`; else UnusablePayloadError.

    Lists that go on are taken as far as they go; whether all commits are there, and labels as a whole, is said only of
    a complete list: further pages are read by `pull_request_overflow_facts`, or by `extended` first.
    """
    parent = _parent(node, repository_id=repository_id, observed_at=observed_at)
    yield from pull_request_facts(parent, repository_id=repository_id)
    yield from _list_facts(node, parent=parent, repository_id=repository_id)
    yield from merging_facts(parent, repository_id=repository_id)


def pull_request_overflow_facts(
    node: Node, *, repository_id: int, observed_at: datetime, listed: int, has_lost: bool
) -> Iterator[Fact]:
    """Yield the facts that a page of `overflow.graphql` adds; labels are read from their start.

    `listed` commits of this head came before; `has_lost` where some of them could not be shown.
    """
    parent = _parent(node, repository_id=repository_id, observed_at=observed_at)
    if node.get("labels") and is_complete(node["labels"]):
        stamp = parent.stamp(parent.time("updated_at"), is_merged=parent.time_or_none("merged_at") is not None)
        yield labels(parent, repository_id=repository_id, stamp=stamp)
    yield from _list_facts(node, parent=parent, repository_id=repository_id, listed=listed, has_lost=has_lost)


def _list_facts(
    node: Node, *, parent: PayloadReader, repository_id: int, listed: int = 0, has_lost: bool = False
) -> Iterator[Fact]:
    for member in _members(node, "reviews"):
        shaped = parent.alike(review(member), path="pullRequest.review")
        yield from review_facts(shaped, pull_request=parent, repository_id=repository_id)
    for position, member in enumerate(_members(node, "commits"), start=listed):
        shaped = parent.alike(commit_of_pull_request(member), path="pullRequest.commit")
        yield from commit_facts(shaped, pull_request=parent, repository_id=repository_id, position=position)
    if not has_lost and node.get("commits") and is_complete(node["commits"]):
        count = listed + len(node["commits"]["nodes"])
        yield commit_list(parent, repository_id=repository_id, count=count)
    for member in _members(node, "timelineItems"):
        shaped = parent.alike(timeline_item(member), path=f"pullRequest.{member.get('__typename')}")
        yield from timeline_facts(shaped, repository_id=repository_id, number=parent.count("number"))


def _members(node: Node, name: str) -> list[Node]:
    return (node.get(name) or {}).get("nodes") or []


def _parent(node: Node, *, repository_id: int, observed_at: datetime) -> PayloadReader:
    shaped = pull_request(node, repository_id=repository_id)
    return PayloadReader(shaped, path="pullRequest", arrived_at=observed_at, observed_at=observed_at)


def deployment(node: Node, *, repository_id: int) -> dict[str, Any]:
    """Return the node in REST's shape, without what only REST has: the ref's text and the flags."""
    return {
        **plain_members(node),
        "id": deployment_number(node, repository_id=repository_id),
        "sha": node.get("commitOid"),
        "creator": account(node.get("creator")),
    }


def deployment_status(node: Node, *, repository_id: int) -> dict[str, Any]:
    """Return a status in REST's shape."""
    return {
        **plain_members(node),
        "id": number_in(node.get("id"), kind=DEPLOYMENT_STATUS, repository_id=repository_id),
        "creator": account(node.get("creator")),
    }


def deployment_number(node: Node, *, repository_id: int) -> int | None:
    """Return the number that GraphQL shows; where that is more than an Int holds, the one inside the node id."""
    shown = node.get("databaseId")
    return shown if shown is not None else number_in(node.get("id"), kind=DEPLOYMENT, repository_id=repository_id)


def statuses(node: Node) -> list[Node]:
    """Return the statuses that the node shows; one that GitHub cannot show has nothing in it."""
    listed = (node.get("statuses") or {}).get("nodes") or ()
    return [status or {} for status in listed]


def has_more_statuses(node: Node) -> bool:
    """Return whether the list of statuses has a next page."""
    return bool((node.get("statuses") or {}).get("pageInfo", {}).get("hasNextPage"))


def has_status_numbers(node: Node, *, repository_id: int) -> bool:
    """Return whether the statuses' node ids have a form that, for the deployment's own id, gives its number."""
    own = number_in(node.get("id"), kind=DEPLOYMENT, repository_id=repository_id)
    if own is None or own != deployment_number(node, repository_id=repository_id):
        return not statuses(node)
    numbers = (
        number_in(status.get("id"), kind=DEPLOYMENT_STATUS, repository_id=repository_id) for status in statuses(node)
    )
    return None not in numbers

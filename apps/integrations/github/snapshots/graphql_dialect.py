"""GraphQL's words for what REST and webhooks show: the same objects, other names. Pure.

Bots lose their `[bot]` there, a merged pull request has a state of its own, and ids of 64 bits are text.
"""

from collections.abc import Mapping, Set
from typing import Any

Node = Mapping[str, Any]

BOTS = ("BOT_", "MDM6Qm90")
"""How the node ids of bots begin, today's and the older ones: `03:Bot` in base64."""


def account(actor: Node | None) -> dict[str, Any] | None:
    """An actor as REST's account; one without a number (an enterprise's) is nobody we could know."""
    if actor is None:
        return None
    kind = actor.get("__typename")
    login = actor.get("login")
    if kind == "Bot" and isinstance(login, str) and not login.endswith("[bot]"):
        login = f"{login}[bot]"
    return {"id": actor.get("databaseId"), "login": login, "type": kind}


def user(node: Node | None) -> dict[str, Any] | None:
    """REST's account of what the schema calls a User: GitHub gives a bot as one too, known by its login or node id."""
    if node is None:
        return None
    node_id, login = str(node.get("id")), str(node.get("login"))
    is_bot = login.endswith("[bot]") or node_id.startswith(BOTS)
    return account({**node, "__typename": "Bot" if is_bot else "User"})


def number_of_id(text: Any) -> Any:
    """A `BigInt`, which comes as text; anything else is left for the reading to refuse."""
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() else text


def pull_request(node: Node, *, repository_id: int) -> dict[str, Any]:
    """The node in REST's shape; a list that goes on is not complete, so its group is left out."""
    merged_at, merge = node.get("mergedAt"), node.get("mergeCommit") or {}
    shaped = {
        "id": number_of_id(node.get("fullDatabaseId")),
        **{name: node.get(name) for name in ("number", "title", "body", "additions", "deletions")},
        "state": "closed" if node.get("state") == "MERGED" else node.get("state"),
        "draft": node.get("isDraft"),
        "user": account(node.get("author")),
        "author_association": node.get("authorAssociation"),
        "created_at": node.get("createdAt"),
        "updated_at": node.get("updatedAt"),
        "closed_at": node.get("closedAt"),
        "merged_at": merged_at,
        "merged_by": account(node.get("mergedBy")),
        "merge_commit_sha": merge.get("oid") if merged_at else None,
        "changed_files": node.get("changedFiles"),
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
    return shaped


def review(node: Node) -> dict[str, Any]:
    """A review in REST's shape."""
    return {
        "id": number_of_id(node.get("fullDatabaseId")),
        "user": account(node.get("author")),
        "state": node.get("state"),
        "submitted_at": node.get("submittedAt"),
        "commit_id": (node.get("commit") or {}).get("oid"),
    }


def issue(node: Node) -> dict[str, Any]:
    """An issue in REST's shape; its labels are complete."""
    labels = node.get("labels")
    return {
        "id": number_of_id(node.get("fullDatabaseId")),
        **{name: node.get(name) for name in ("number", "title", "state")},
        "state_reason": node.get("stateReason"),
        "user": account(node.get("author")),
        "labels": labels["nodes"] if labels else [],
        "created_at": node.get("createdAt"),
        "updated_at": node.get("updatedAt"),
        "closed_at": node.get("closedAt"),
    }


def release(node: Node) -> dict[str, Any]:
    """A release in REST's shape."""
    return {
        "id": node.get("databaseId"),
        "name": node.get("name"),
        "tag_name": node.get("tagName"),
        "draft": node.get("isDraft"),
        "prerelease": node.get("isPrerelease"),
        "author": user(node.get("author")),
        "created_at": node.get("createdAt"),
        "published_at": node.get("publishedAt"),
        "updated_at": node.get("updatedAt"),
    }


def commit(node: Node) -> dict[str, Any]:
    """A commit of a history as a push lists it, and what a push does not tell: its author's account and its parents."""
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
    """A commit of a pull request in REST's shape. Its author and its committer are accounts, if their e-mails are."""
    made = member["commit"]
    return {
        "sha": made.get("oid"),
        **{role: user((made.get(role) or {}).get("user")) for role in ("author", "committer")},
        "commit": {
            "author": {"date": made.get("authoredDate")},
            "committer": {"date": made.get("committedDate")},
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
}


def timeline_item(member: Node) -> dict[str, Any]:
    """An item of a timeline in REST's shape."""
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
    return shaped


def _requested(reviewer: Node | None) -> dict[str, Any]:
    if reviewer is not None and reviewer.get("__typename") == "Team":
        return {"requested_team": {"id": reviewer.get("databaseId"), "slug": reviewer.get("slug")}}
    return {"requested_reviewer": account(reviewer)}


LISTS = ("labels", "reviews", "commits", "timelineItems")


def is_complete(listed: Node | None) -> bool:
    """Whether a list does not go on and has lost nothing."""
    return listed is None or not (listed["pageInfo"]["hasNextPage"] or listed.get("has_lost"))


def unfinished(node: Node) -> dict[str, str]:
    """The lists of a pull request that go on, each with the cursor to go on from."""
    found = {name: node[name]["pageInfo"] for name in LISTS if node.get(name)}
    return {name: page["endCursor"] for name, page in found.items() if page["hasNextPage"]}


def extended(node: Node, *, by: Node) -> dict[str, Any]:
    """The node with what a page of overflow adds to its lists."""
    lists = {name: {**by[name], "nodes": [*node[name]["nodes"], *by[name]["nodes"]]} for name in LISTS if by.get(name)}
    return {**node, **lists}


def without(node: Node, lost: Mapping[str, Set[int]]) -> dict[str, Any]:
    """The node without those items of its lists, by place, that GitHub could not show."""
    return {**node, **{name: _shortened(node[name], places) for name, places in lost.items()}}


def _shortened(listed: Node, lost: Set[int]) -> dict[str, Any]:
    kept = [member for place, member in enumerate(listed["nodes"]) if place not in lost]
    return {**listed, "nodes": kept, "has_lost": True}

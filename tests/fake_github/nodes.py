"""The truth, which is in REST's shape, as GraphQL shows it."""

import re
from collections.abc import Callable
from typing import Any

from apps.demo.shapes import Json, accounts, moment
from tests.fake_github.connections import Node, connection
from tests.fake_github.truth import Happening, PullRequestTruth

KINDS_OF_ACTORS = {"User": "User", "Bot": "Bot", "Organization": "Organization"}


def actor(account: Json | None) -> Node | None:
    """An account: GraphQL leaves out the `[bot]` that REST and webhooks append."""
    if account is None:
        return None
    return {
        "__typename": KINDS_OF_ACTORS[account["type"]],
        "id": account["node_id"],
        "databaseId": account["id"],
        "login": account["login"].removesuffix("[bot]"),
        "name": None,
    }


def user(account: Json | None) -> Node | None:
    """An account where the schema allows people only. A bot is one of them there, by its login with the `[bot]`."""
    return None if account is None else {**(actor(account) or {}), "__typename": "User", "login": account["login"]}


def team(described: Json) -> Node:
    return {
        "__typename": "Team",
        "id": described["node_id"],
        "databaseId": described["id"],
        "slug": described["slug"],
        "name": described["name"],
    }


def commit(made: Json) -> Node:
    """A commit of a push; its people are known by e-mail, which names the account's id in our stories."""
    return {
        **bare_commit(made["id"]),
        "authoredDate": made["author"]["date"],
        "committedDate": made["committer"]["date"],
        "message": made["message"],
        **{role: {**made[role], "user": user(signer(made[role]))} for role in ("author", "committer")},
    }


def signer(signature: Json) -> Json:
    """The account of whoever signed a commit."""
    return accounts.user(accounts.person(int(signature["email"].partition("+")[0]), signature["username"]))


def bare_commit(sha: str) -> Node:
    return {"__typename": "Commit", "id": f"C_{sha}", "oid": sha, "parents": connection([], dict)}


def label(described: Json) -> Node:
    return {"__typename": "Label", "id": described["node_id"], "name": described["name"]}


def review(described: Json) -> Node:
    return {
        "__typename": "PullRequestReview",
        "id": described["node_id"],
        "fullDatabaseId": str(described["id"]),
        "state": described["state"].upper(),
        "submittedAt": described["submitted_at"],
        "createdAt": described["submitted_at"],
        "updatedAt": described["updated_at"],
        "author": actor(described["user"]),
        "commit": bare_commit(described["commit_id"]),
    }


def happening(item: Happening) -> Node:
    more = item.more
    node = {"__typename": item.kind, "id": item.id, "createdAt": moment(item.at), "actor": actor(item.actor)}
    if item.kind == "HeadRefForcePushedEvent":
        node |= {"beforeCommit": bare_commit(more["before"]), "afterCommit": bare_commit(more["after"])}
    if item.kind == "ReviewDismissedEvent":
        node |= {"databaseId": None, "previousReviewState": more["before"].upper(), "review": review(more["review"])}
    if "requested_reviewer" in more:
        node["requestedReviewer"] = actor(more["requested_reviewer"])
    if "requested_team" in more:
        node["requestedReviewer"] = team(more["requested_team"])
    if "label" in more:
        node["label"] = label(more["label"])
    return node


def plain_members(seen: Json) -> Node:
    """The members of an object that are neither objects nor lists, under GraphQL's names."""
    plain = {name: member for name, member in seen.items() if not isinstance(member, (dict, list))}
    return {re.sub("_([a-z])", lambda found: found[1].upper(), name): member for name, member in plain.items()}


def pull_request(truth: PullRequestTruth) -> Node:
    """A pull request with its lists; nothing of a list is made before somebody asks for it."""
    seen = truth.json
    head, base = seen["head"], seen["base"]
    same = head["repo"] is not None and head["repo"]["id"] == base["repo"]["id"]
    return {
        **plain_members(seen),
        "__typename": "PullRequest",
        "id": seen["node_id"],
        "fullDatabaseId": str(seen["id"]),
        "body": seen["body"] or "",
        "state": "MERGED" if seen["merged_at"] else seen["state"].upper(),
        "isDraft": seen["draft"],
        "isCrossRepository": not same,
        "totalCommentsCount": len(truth.comments) + len(truth.review_comments),
        "reviewDecision": None,
        "baseRefName": base["ref"],
        "headRefName": head["ref"],
        "headRefOid": head["sha"],
        "headRepository": None,
        "mergeCommit": bare_commit(seen["merge_commit_sha"]) if seen["merge_commit_sha"] else None,
        "mergedBy": actor(seen["merged_by"]),
        "author": actor(seen["user"]),
        "labels": connection(seen["labels"], label),
        "reviews": connection(list(truth.reviews.values()), review),
        "commits": connection(truth.commits, _commit_of_pull_request),
        "reviewThreads": connection(truth.review_comments, dict),
        "comments": connection(truth.comments, issue_comment),
        "timelineItems": timeline(truth),
    }


def _commit_of_pull_request(made: Json) -> Node:
    return {"__typename": "PullRequestCommit", "id": f"PRC_{made['id']}", "commit": commit(made)}


def timeline(truth: PullRequestTruth) -> Callable[..., Node]:
    def resolve(info: Any, *, itemTypes: list[str] | None = None, since: str | None = None, **page: Any) -> Node:  # noqa: N803
        wanted = {name.title().replace("_", "") for name in itemTypes or ()}
        items = [
            item
            for item in sorted(truth.timeline, key=lambda item: item.at)
            if (not wanted or item.kind in wanted) and (since is None or moment(item.at) >= since)
        ]
        return connection(items, happening)(info, **page)

    return resolve


def issue_comment(said: Json) -> Node:
    return {
        "__typename": "IssueComment",
        "id": said["node_id"],
        "fullDatabaseId": str(said["id"]),
        "createdAt": said["created_at"],
        "updatedAt": said["updated_at"],
        "author": actor(said["user"]),
    }


def issue(seen: Json, *, comments: list[Json]) -> Node:
    return {
        **plain_members(seen),
        "__typename": "Issue",
        "id": seen["node_id"],
        "fullDatabaseId": str(seen["id"]),
        "state": seen["state"].upper(),
        "stateReason": _state_reason(seen["state_reason"]),
        "author": actor(seen["user"]),
        "labels": connection(seen["labels"], label),
        "comments": connection(comments, issue_comment),
    }


def _state_reason(reason: str | None) -> Callable[..., str | None]:
    """A duplicate is one only for those who ask whether it is."""

    def resolve(info: Any, *, enableDuplicate: bool) -> str | None:  # noqa: N803  GraphQL's name
        return "NOT_PLANNED" if reason == "duplicate" and not enableDuplicate else reason and reason.upper()

    return resolve


def release(seen: Json) -> Node:
    return {
        **plain_members(seen),
        "__typename": "Release",
        "id": seen["node_id"],
        "databaseId": seen["id"],
        "isDraft": seen["draft"],
        "isPrerelease": seen["prerelease"],
        "author": user(seen["author"]),
    }

"""The truth, which is in REST's shape, as GraphQL shows it, with real node ids, and as REST caps it."""

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

from apps.demo.shapes import Json, accounts, moment
from tests.fake_github.connections import Node, connection, keyed_connection
from tests.fake_github.faults import Asked, Refusal
from tests.fake_github.truth import DeploymentTruth, Happening, PullRequestTruth, RepositoryTruth

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


def team(described: Json, *, members: Callable[..., Node] | None = None) -> Node:
    return {
        "members": members,
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
    """The account that signed a commit."""
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
    if item.kind == "RemovedFromMergeQueueEvent":
        node["reason"] = REASONS[more["reason"]]
    if "former_base" in more:
        node |= {"previousRefName": more["former_base"]}
    return node


REASONS = {"MANUAL": "manual", "MERGE": "merged", "CI_FAILURE": "failed_checks"}
"""GraphQL's words for why a pull request left the merge queue, by those of webhooks."""


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
        "assignees": connection(seen["assignees"], user),
        "reviews": connection(list(truth.reviews.values()), review),
        "commits": connection(truth.commits, _commit_of_pull_request),
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
        "body": seen["body"] or "",
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


BIGGEST_INT = 2**31 - 1
MOST_FILTERED_RUNS = 1000
BEYOND = "In order to keep the API fast for everyone, pagination is limited for this resource."

Shape = Callable[[Json | None], Node | None]


def global_id(prefix: str, *, repository_id: int, number: int) -> str:
    """A node id in GitHub's newer form: base64 of a MessagePack array of a version, the repository, and the number."""
    wide = number > 2**32 - 1
    packed = b"\x93\x00\xce" + repository_id.to_bytes(4) + (b"\xcf" if wide else b"\xce")
    encoded = urlsafe_b64encode(packed + number.to_bytes(8 if wide else 4)).decode()
    return f"{prefix}_{encoded.rstrip('=')}"


def deployments(truth: RepositoryTruth, *, actor: Shape) -> Callable[..., Node]:
    """The list of a repository, all of it or of some environments; its cursors outlive what is made meanwhile."""

    def resolve(
        info: Any,
        *,
        first: int | None = None,
        after: str | None = None,
        environments: list[str] | None = None,
        orderBy: Json | None = None,  # noqa: N803  GraphQL's name
        **_: Any,
    ) -> Node:
        keys = sorted(
            (found.json["created_at"], number)
            for number, found in truth.deployments.items()
            if not environments or found.json["environment"] in environments
        )
        is_descending = orderBy is not None and orderBy["direction"] == "DESC"
        show = keyed_connection(keys, lambda number: _node(truth, number, actor=actor), is_descending=is_descending)
        page: Node = show(info, first, after)
        return page

    return resolve


def deployment_of(truth: RepositoryTruth, identity: str, *, actor: Shape) -> Node | None:
    """The deployment with this node id."""
    repository_id = truth.json["id"]
    for number in truth.deployments:
        if global_id("DE", repository_id=repository_id, number=number) == identity:
            return _node(truth, number, actor=actor)
    return None


def _node(truth: RepositoryTruth, number: int, *, actor: Shape) -> Node:
    """A deployment, its statuses newest first, as GitHub lists them."""
    found, repository_id = truth.deployments[number], truth.json["id"]
    seen = found.json
    return {
        "__typename": "Deployment",
        "id": global_id("DE", repository_id=repository_id, number=number),
        "databaseId": number if number <= BIGGEST_INT else None,
        "environment": seen["environment"],
        "latestEnvironment": seen["environment"],
        "originalEnvironment": seen["original_environment"],
        "commitOid": seen["sha"],
        "task": seen["task"],
        "state": _state(found),
        "createdAt": seen["created_at"],
        "updatedAt": seen["updated_at"],
        "creator": actor(seen["creator"]),
        "ref": None,
        "statuses": connection(
            list(reversed(found.statuses)), lambda status: _status(status, repository_id=repository_id, actor=actor)
        ),
    }


def _state(found: DeploymentTruth) -> str:
    latest = found.statuses[-1]["state"].upper() if found.statuses else "PENDING"
    return "ACTIVE" if latest == "SUCCESS" else str(latest)


def _status(seen: Json, *, repository_id: int, actor: Shape) -> Node:
    return {
        "__typename": "DeploymentStatus",
        "id": global_id("DES", repository_id=repository_id, number=seen["id"]),
        "state": seen["state"].upper(),
        "createdAt": seen["created_at"],
        "updatedAt": seen["updated_at"],
        "environment": seen["environment"],
        "environmentUrl": seen["environment_url"] or None,
        "logUrl": seen["log_url"] or None,
        "creator": actor(seen["creator"]),
    }


def deployment_by_rest(truth: RepositoryTruth, number: str) -> DeploymentTruth:
    found = truth.deployments.get(int(number))
    if found is None:
        raise Refusal(404, "Not Found")
    return found


def runs_by_rest(truth: RepositoryTruth, asked: Asked, *, page: int, size: int) -> tuple[list[Json], int | None]:
    """The runs of a window of creation, both ends in it, newest first, and how many of them are listed at the most."""
    created = asked.query.get("created")
    start, _, end = (created or "").partition("..")
    found = [run for run in truth.runs.values() if start <= run["created_at"] <= (end or "~")]
    found.sort(key=lambda run: (run["created_at"], run["id"]), reverse=True)
    if created is None:
        return found, None
    if (page - 1) * size >= MOST_FILTERED_RUNS:
        raise Refusal(422, BEYOND)
    return found, MOST_FILTERED_RUNS

"""A repository as GraphQL shows it, with its long lists."""

from collections.abc import Callable
from typing import Any

from apps.integrations.story.shapes import Json, node_id
from tests.fake_github.connections import Node, connection, keyed_connection
from tests.fake_github.deployment_nodes import deployments
from tests.fake_github.nodes import actor, commit, issue, pull_request, release
from tests.fake_github.truth import RepositoryTruth


def repository(truth: RepositoryTruth) -> Node:
    """A repository with its lists."""
    seen = truth.json
    return {
        "__typename": "Repository",
        "id": seen["node_id"],
        "databaseId": seen["id"],
        "name": seen["name"],
        "nameWithOwner": seen["full_name"],
        "owner": actor(seen["owner"]),
        "isArchived": seen["archived"],
        "isPrivate": seen["private"],
        "isFork": seen["fork"],
        "createdAt": seen["created_at"],
        "updatedAt": seen["updated_at"],
        "pushedAt": seen["pushed_at"],
        "defaultBranchRef": _default_branch(truth),
        "pullRequests": pull_requests(truth),
        "pullRequest": lambda info, *, number: _pull_request_or_none(truth, number),
        "issues": issues(truth),
        "issue": lambda info, *, number: _issue_or_none(truth, number),
        "releases": _newest_first(list(truth.releases.values()), release),
        "deployments": deployments(truth, actor=actor),
    }


def pull_requests(truth: RepositoryTruth) -> Callable[..., Node]:
    def resolve(
        info: Any,
        *,
        first: int | None = None,
        after: str | None = None,
        orderBy: Json | None = None,  # noqa: N803  GraphQL's name
        **_: Any,
    ) -> Node:
        order = orderBy or {"field": "CREATED_AT", "direction": "ASC"}
        keys = truth.pull_requests.ordered(order["field"].lower())
        list_page = keyed_connection(
            keys, lambda number: _pull_request_or_none(truth, number), is_descending=order["direction"] == "DESC"
        )
        page: Node = list_page(info, first, after)
        return page

    return resolve


def issues(truth: RepositoryTruth) -> Callable[..., Node]:
    def resolve(
        info: Any,
        *,
        filterBy: Json | None = None,  # noqa: N803  GraphQL's name
        orderBy: Json | None = None,  # noqa: N803
        **page: Any,
    ) -> Node:
        order = orderBy or {"field": "CREATED_AT", "direction": "ASC"}
        since = (filterBy or {}).get("since") or ""
        found = [seen for seen in truth.issues.values() if seen["updated_at"] >= since]
        found.sort(
            key=lambda seen: (seen[order["field"].lower()], seen["number"]), reverse=order["direction"] == "DESC"
        )
        return connection(found, lambda seen: issue(seen, comments=truth.issue_comments.get(seen["number"], [])))(
            info, **page
        )

    return resolve


def _pull_request_or_none(truth: RepositoryTruth, number: int) -> Node | None:
    found = truth.pull_requests.get(number)
    return pull_request(found) if found else None


def _issue_or_none(truth: RepositoryTruth, number: int) -> Node | None:
    found = truth.issues.get(number)
    return issue(found, comments=truth.issue_comments.get(number, [])) if found else None


def _newest_first(items: list[Any], node: Callable[[Any], Node]) -> Callable[..., Node]:
    """Releases, which are kept in the order they were made."""

    def resolve(info: Any, *, orderBy: Json | None = None, **page: Any) -> Node:  # noqa: N803  GraphQL's name
        is_ascending = orderBy is None or orderBy["direction"] == "ASC"
        return connection(items if is_ascending else items[::-1], node)(info, **page)

    return resolve


def _default_branch(truth: RepositoryTruth) -> Node | None:
    if not truth.commits:
        return None
    newest = commit(truth.commits[-1])
    newest["history"] = connection(truth.commits[::-1], commit)
    name = truth.json["default_branch"]
    return {"__typename": "Ref", "id": node_id("REF", truth.json["id"]), "name": name, "target": newest}

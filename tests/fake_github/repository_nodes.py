"""A repository as GraphQL shows it, with its long lists."""

from collections.abc import Callable
from typing import Any

from apps.demo.shapes import Json, node_id
from tests.fake_github.connections import Node, connection, github_error, keyed_connection
from tests.fake_github.nodes import actor, bare_commit, commit, deployments, issue, pull_request, release
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
        "issue": lambda info, *, number: _issue_by_number(truth, number),
        "object": commit_object(truth),
        "releases": releases(truth),
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
        first: int | None = None,
        after: str | None = None,
        filterBy: Json | None = None,  # noqa: N803  GraphQL's name
        orderBy: Json | None = None,  # noqa: N803
        **_: Any,
    ) -> Node:
        order = orderBy or {"field": "CREATED_AT", "direction": "ASC"}
        since = (filterBy or {}).get("since") or ""
        found = [seen for seen in truth.issues.values() if seen["updated_at"] >= since]
        list_page = keyed_connection(
            sorted((seen[order["field"].lower()], seen["number"]) for seen in found),
            lambda number: _issue_or_none(truth, number),
            is_descending=order["direction"] == "DESC",
        )
        page: Node = list_page(info, first, after)
        return page

    return resolve


def releases(truth: RepositoryTruth) -> Callable[..., Node]:
    def resolve(
        info: Any,
        *,
        first: int | None = None,
        after: str | None = None,
        orderBy: Json | None = None,  # noqa: N803  GraphQL's name
        **_: Any,
    ) -> Node:
        list_page = keyed_connection(
            sorted((seen["created_at"], seen["id"]) for seen in truth.releases.values()),
            lambda identity: release(truth.releases[identity]),
            is_descending=orderBy is not None and orderBy["direction"] == "DESC",
        )
        page: Node = list_page(info, first, after)
        return page

    return resolve


def commit_object(truth: RepositoryTruth) -> Callable[..., Node | None]:
    """A commit of the default branch by its SHA, or as `HEAD`."""

    def resolve(info: Any, *, expression: str | None = None, oid: str | None = None) -> Node | None:
        shas = [made["id"] for made in truth.commits]
        wanted = shas[-1] if expression == "HEAD" and shas else oid or expression
        return commit_with_history(truth, shas.index(wanted)) if wanted in shas else None

    return resolve


def commit_with_history(truth: RepositoryTruth, place: int) -> Node:
    """A commit of the default branch, and those before it, newest first."""

    def history(info: Any, *, since: str | None = None, until: str | None = None, **page: Any) -> Node:
        found = [
            made for made in truth.commits[place::-1] if (since or "") <= made["committer"]["date"] <= (until or "~")
        ]
        return connection(found, lambda made: commit_in_history(truth, made))(info, **page)

    return {**commit_in_history(truth, truth.commits[place]), "history": history}


def commit_in_history(truth: RepositoryTruth, made: Json) -> Node:
    return {**commit(made), "parents": connection(truth.parents.get(made["id"], ()), bare_commit)}


def _pull_request_or_none(truth: RepositoryTruth, number: int) -> Node | None:
    found = truth.pull_requests.get(number)
    return pull_request(found) if found else None


def _issue_by_number(truth: RepositoryTruth, number: int) -> Node:
    """A transferred one is answered from where it went."""
    truth, number = truth.gone.get(number) or (truth, number)
    found = _issue_or_none(truth, number)
    if found is None:
        raise github_error("NOT_FOUND", f"Could not resolve to an Issue with the number of {number}.")
    return found


def _issue_or_none(truth: RepositoryTruth, number: int) -> Node | None:
    found = truth.issues.get(number)
    if found is None:
        return None
    where = {"__typename": "Repository", "databaseId": truth.json["id"]}
    return {**issue(found, comments=truth.issue_comments.get(number, [])), "repository": where}


def _default_branch(truth: RepositoryTruth) -> Node | None:
    if not truth.commits:
        return None
    newest = commit_with_history(truth, len(truth.commits) - 1)
    name = truth.json["default_branch"]
    return {"__typename": "Ref", "id": node_id("REF", truth.json["id"]), "name": name, "target": newest}

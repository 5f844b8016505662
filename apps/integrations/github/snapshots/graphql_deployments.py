"""A deployment as GraphQL shows it, in REST's shape. Pure.

A status has no number there, and a deployment has one only as far as an Int goes: both are read from the node ids, as
far as the deployment's own proves their form.
"""

from collections.abc import Mapping
from typing import Any

from apps.integrations.github.node_ids import DEPLOYMENT, DEPLOYMENT_STATUS, number_in
from apps.integrations.github.snapshots.graphql_dialect import account

Node = Mapping[str, Any]


def deployment(node: Node, *, repository_id: int) -> dict[str, Any]:
    """The node in REST's shape, without what only REST tells: the ref's text and the flags."""
    return {
        "id": deployment_number(node, repository_id=repository_id),
        "sha": node.get("commitOid"),
        "environment": node.get("environment"),
        "task": node.get("task"),
        "creator": account(node.get("creator")),
        "created_at": node.get("createdAt"),
        "updated_at": node.get("updatedAt"),
    }


def deployment_status(node: Node, *, repository_id: int) -> dict[str, Any]:
    """A status in REST's shape."""
    return {
        "id": number_in(node.get("id"), kind=DEPLOYMENT_STATUS, repository_id=repository_id),
        "state": node.get("state"),
        "environment": node.get("environment"),
        "log_url": node.get("logUrl"),
        "creator": account(node.get("creator")),
        "created_at": node.get("createdAt"),
        "updated_at": node.get("updatedAt"),
    }


def deployment_number(node: Node, *, repository_id: int) -> int | None:
    """The number that GraphQL shows; where that is more than an Int holds, the one inside the node id."""
    shown = node.get("databaseId")
    return shown if shown is not None else number_in(node.get("id"), kind=DEPLOYMENT, repository_id=repository_id)


def statuses(node: Node) -> list[Node]:
    """The statuses that the node shows; one that GitHub cannot show has nothing in it."""
    listed = (node.get("statuses") or {}).get("nodes") or ()
    return [status or {} for status in listed]


def has_more_statuses(node: Node) -> bool:
    """Whether the list of statuses goes on."""
    return bool((node.get("statuses") or {}).get("pageInfo", {}).get("hasNextPage"))


def tells_status_numbers(node: Node, *, repository_id: int) -> bool:
    """Whether the statuses' node ids have a form that holds for the deployment's own, number for number."""
    own = number_in(node.get("id"), kind=DEPLOYMENT, repository_id=repository_id)
    if own is None or own != deployment_number(node, repository_id=repository_id):
        return not statuses(node)
    numbers = (
        number_in(status.get("id"), kind=DEPLOYMENT_STATUS, repository_id=repository_id) for status in statuses(node)
    )
    return None not in numbers

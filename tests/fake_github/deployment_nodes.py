"""Deployments and workflow runs as GitHub shows them: by GraphQL with real node ids, by REST with GitHub's caps."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

from apps.demo.shapes import Json
from tests.fake_github.answering import Asked, Refusal
from tests.fake_github.connections import Node, connection, keyed_connection
from tests.fake_github.truth import DeploymentTruth, RepositoryTruth

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

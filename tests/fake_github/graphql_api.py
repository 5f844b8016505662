"""GraphQL as GitHub runs it: priced, limited, then executed against the types we use."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    build_schema,
    execute_sync,
    parse,
    validate,
)

from apps.demo.shapes import Json
from apps.demo.shapes.accounts import user
from tests.fake_github.connections import Node, connection, github_error
from tests.fake_github.nodes import actor, deployment_of, issue, pull_request, team
from tests.fake_github.points import MOST_NODES, Points, points_of
from tests.fake_github.repository_nodes import repository
from tests.fake_github.truth import RepositoryTruth
from tests.fake_github.world import TeamTruth, World

SDL = Path(__file__).parent / "schema.graphql"
INVALID = "undefinedField"
SEARCH = re.compile(r"repo:(\S+) is:pr updated:>=(\S+)")


@cache
def schema() -> GraphQLSchema:
    """The part of GitHub's public schema that we use."""
    return build_schema(SDL.read_text())


@cache
def read_document(text: str) -> tuple[DocumentNode | None, tuple[GraphQLError, ...]]:
    """The document, and what is wrong with it."""
    try:
        document = parse(text)
    except GraphQLError as error:
        return None, (error,)
    return document, tuple(validate(schema(), document))


def price(asked: Json) -> Points | list[GraphQLError]:
    """What the query costs, or what is wrong with it."""
    document, errors = read_document(asked["query"])
    if document is None or errors:
        return list(errors)
    try:
        return points_of(document, schema=schema(), variables=asked.get("variables") or {})
    except GraphQLError as error:
        return [error]


def run(asked: Json, *, world: World, installation_id: int, points: Points, rate_limit: Json) -> Json:
    """Execute a query as an installation."""
    if points.nodes > MOST_NODES:
        message = (
            f"This query requests up to {points.nodes:,} possible nodes which exceeds the maximum limit of 500,000."
        )
        return {"errors": [{"type": "MAX_NODE_LIMIT_EXCEEDED", "message": message}]}
    document, _ = read_document(asked["query"])
    assert document is not None
    see = _Seeing(world, installation_id)
    root = {
        "repository": see.repository,
        "node": see.node,
        "organization": see.organization,
        "nodes": see.nodes,
        "search": see.search,
        "rateLimit": {**rate_limit, "cost": points.cost, "nodeCount": points.nodes},
    }
    result = execute_sync(schema(), document, root, variable_values=asked.get("variables") or {})
    assert isinstance(result, ExecutionResult)
    shown: Json = {"data": result.data}
    if result.errors:
        shown["errors"] = [_shown(error) for error in result.errors]
    return shown


def invalid(errors: list[GraphQLError]) -> Json:
    """What GitHub says to a query that cannot be run: no data, and no type beside the errors."""
    return {"errors": [{"message": error.message, "extensions": {"code": INVALID}} for error in errors]}


class _Seeing:
    """The world as far as one installation sees it."""

    def __init__(self, world: World, installation_id: int) -> None:
        self._world = world
        self._installation_id = installation_id

    def repository(self, info: Any, *, owner: str, name: str, **_: Any) -> Node:
        found = self._world.find(f"{owner}/{name}", installation_id=self._installation_id)
        if found is None:
            message = f"Could not resolve to a Repository with the name '{owner}/{name}'."
            raise github_error("NOT_FOUND", message)
        return repository(found)

    def search(self, info: Any, *, query: str, **_: Any) -> Node:
        """Counts the pull requests of one repository that were updated since a time: all that is ever searched for."""
        asked = SEARCH.fullmatch(query)
        assert asked is not None, query
        found = self._world.find(asked[1], installation_id=self._installation_id)
        updated = found.pull_requests.ordered("updated_at") if found else ()
        return {"issueCount": sum(at >= asked[2] for at, _ in updated)}

    def organization(self, info: Any, *, login: str) -> Node:
        found = self._world.installations[self._installation_id].account
        if found.kind != "Organization" or found.login.lower() != login.lower():
            raise github_error("NOT_FOUND", f"Could not resolve to an Organization with the login of '{login}'.")
        teams = connection(self._world.teams_of(found), lambda one: team(one.json, members=self._members_of(one)))
        return {**(actor(user(found)) or {}), "teams": self._with_permission(teams)}

    def _members_of(self, found: TeamTruth) -> Callable[..., Node]:
        def resolve(info: Any, *, membership: str = "ALL", **asked: Any) -> Node:
            people = self._world.members_of(found, membership=membership)
            page: Node = connection([user(one) for one in people], lambda one: actor(one) or {})(info, **asked)
            return page

        return self._with_permission(resolve)

    def _with_permission(self, resolve: Callable[..., Node]) -> Callable[..., Node]:
        """The same for an installation that may read members; others are refused."""

        def guarded(info: Any, **asked: Any) -> Node:
            if "members" not in self._world.installations[self._installation_id].permissions:
                raise github_error("FORBIDDEN", "Resource not accessible by integration")
            return resolve(info, **asked)

        return guarded

    def node(self, info: Any, *, id: str) -> Node:  # noqa: A002  GraphQL's name
        if id.startswith("T_"):
            return self._team(id)
        for truth in self._world.reached_by(self._installation_id):
            found = self._node_of(truth, id)
            if found is not None:
                return found
        raise github_error("NOT_FOUND", f"Could not resolve to a node with the global id of '{id}'.")

    def nodes(self, info: Any, *, ids: list[str]) -> list[Node | GraphQLError]:
        return [self._node_or_error(info, identity) for identity in ids]

    def _node_or_error(self, info: Any, identity: str) -> Node | GraphQLError:
        try:
            return self.node(info, id=identity)
        except GraphQLError as error:
            return error

    def _team(self, identity: str) -> Node:
        account = self._world.installations[self._installation_id].account
        for found in self._world.teams_of(account):
            if found.json["node_id"] == identity:
                return team(found.json, members=self._members_of(found))
        raise github_error("NOT_FOUND", f"Could not resolve to a node with the global id of '{identity}'.")

    def _node_of(self, truth: RepositoryTruth, identity: str) -> Node | None:
        if truth.json["node_id"] == identity:
            return repository(truth)
        if identity.startswith("I_"):
            return _issue(truth, identity)
        if identity.startswith("DE_"):
            return deployment_of(truth, identity, actor=actor)
        return _pull_request(truth, identity) if identity.startswith("PR_") else None


def _pull_request(truth: RepositoryTruth, identity: str) -> Node | None:
    number = truth.pull_requests.number_of(identity)
    found = truth.pull_requests.get(number) if number else None
    return pull_request(found) if found and found.json["node_id"] == identity else None


def _issue(truth: RepositoryTruth, identity: str) -> Node | None:
    found = next((seen for seen in truth.issues.values() if seen["node_id"] == identity), None)
    return issue(found, comments=truth.issue_comments.get(found["number"], [])) if found else None


def _shown(error: GraphQLError) -> Json:
    kind = (error.extensions or {}).get("type")
    shown: Json = {"message": error.message, "path": error.path}
    return {"type": kind, **shown} if kind else shown

"""The GraphQL documents and the types of the fake, held against GitHub's own schema."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    get_named_type,
    parse,
    validate,
    visit,
)

from apps.github.graphql_documents import document, names
from apps.integrations.refresh_queries import MOST, Wanted, variables
from tests.fake_github.graphql_api import schema
from tests.fake_github.points import Points, points_of

PUBLISHED = Path(__file__).resolve().parents[2].parent / "shared" / "github" / "schema.graphql"
needs_published = pytest.mark.skipif(not PUBLISHED.exists(), reason="the reference folder is not beside the repository")
PAGE = {"owner": "acme", "name": "api", "after": None, "field": "CREATED_AT", "direction": "ASC"}
SWITCHES = dict.fromkeys(("withLabels", "withReviews", "withCommits", "withTimeline"), True)


@cache
def published() -> GraphQLSchema:
    """GitHub's public schema; the published file defines a few fields twice."""
    return build_schema(PUBLISHED.read_text(), assume_valid=True)


def price(name: str, /, **variables: Any) -> Points:
    return points_of(parse(document(name)), schema=schema(), variables=variables)


@pytest.mark.parametrize("name", names())
def test_a_document_is_valid_against_the_types_we_use(name: str) -> None:
    assert validate(schema(), parse(document(name))) == []


@needs_published
@pytest.mark.parametrize("name", names())
def test_a_document_is_valid_against_githubs_schema(name: str) -> None:
    assert validate(published(), parse(document(name))) == []


@pytest.mark.parametrize("name", names())
def test_every_list_of_a_document_tells_whether_it_goes_on(name: str) -> None:
    unfinished = []
    info = TypeInfo(schema())

    class Lists(Visitor):
        """Looks at every selection of nodes."""

        def enter_field(self, node: FieldNode, *_: Any) -> None:
            selected = {found.name.value for found in selections(node) if isinstance(found, FieldNode)}
            if "nodes" in selected and "pageInfo" not in selected:
                unfinished.append(node.name.value)

        def enter_fragment_definition(self, node: Any, *_: Any) -> None:
            self.enter_field(node)

    visit(parse(document(name)), TypeInfoVisitor(info, Lists()))
    assert unfinished == []


def selections(node: Any) -> tuple[Any, ...]:
    return tuple(node.selection_set.selections) if node.selection_set else ()


@pytest.mark.parametrize(
    ("first", "requests", "nodes", "cost"), [(10, 51, 1_510, 1), (25, 126, 3_775, 1), (50, 251, 7_550, 3)]
)
def test_a_page_of_pull_requests_costs_what_githubs_formula_says(
    first: int, requests: int, nodes: int, cost: int
) -> None:
    points = price("pull_request_page", first=first, **PAGE)
    assert (points.requests, points.nodes, points.cost) == (requests, nodes, cost)


def test_what_is_fetched_by_id_costs_a_point() -> None:
    assert price("pull_requests_by_id", ids=[str(number) for number in range(25)]).cost == 1
    assert price("overflow", id="PR_1", **SWITCHES).cost == 1
    assert price("deployment_statuses", ids=[str(number) for number in range(25)]).cost == 1


def test_as_many_as_are_asked_for_by_number_cost_a_point() -> None:
    batch = [Wanted(id=n, repository_id=1, full_name="acme/api", number=n, head_sha="") for n in range(MOST)]
    points = price("pull_requests_by_number", **variables(batch))
    assert (points.requests, points.nodes, points.cost) == (5 * MOST, 150 * MOST, 1)
    assert document("pull_requests_by_number").count("pullRequest(number:") == MOST


@pytest.mark.parametrize("name", ["issue_page", "release_page", "deployment_page", "commit_page"])
def test_a_page_of_a_hundred_of_anything_else_costs_a_point(name: str) -> None:
    assert price(name, owner="acme", name="api", expression="HEAD", first=100).cost == 1


def test_all_labels_of_a_page_of_issues_cost_a_point() -> None:
    assert price("issue_labels", ids=[str(number) for number in range(100)]).cost == 1


@needs_published
def test_every_type_of_the_fake_is_githubs_own() -> None:
    strange = [
        f"{name}: {problem}"
        for name, ours in schema().type_map.items()
        if not name.startswith("__")
        for problem in differences(ours, published().type_map.get(name))
    ]
    assert strange == []


def differences(ours: Any, theirs: Any) -> list[str]:
    if type(ours) is not type(theirs):
        return ["is not there, or of another kind"]
    if isinstance(ours, GraphQLEnumType):
        return sorted(set(ours.values) - set(theirs.values))
    if isinstance(ours, GraphQLUnionType):
        return sorted({kind.name for kind in ours.types} - {kind.name for kind in theirs.types})
    if isinstance(ours, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
        return [problem for name in ours.fields for problem in field_differences(name, ours, theirs)]
    return []


def field_differences(name: str, ours: Any, theirs: Any) -> list[str]:
    if name not in theirs.fields:
        return [f"{name} is not there"]
    mine, other = ours.fields[name], theirs.fields[name]
    problems = [] if str(mine.type) == str(other.type) else [f"{name} is {other.type}, not {mine.type}"]
    for argument, given in getattr(mine, "args", {}).items():
        if argument not in other.args or str(other.args[argument].type) != str(given.type):
            problems.append(f"{name}({argument})")
    return problems


@needs_published
def test_no_required_argument_of_githubs_is_left_out() -> None:
    for name, ours in schema().type_map.items():
        for field_name, field in getattr(ours, "fields", {}).items():
            theirs = published().type_map[name].fields[field_name] if not name.startswith("__") else field
            required = {
                argument for argument, given in getattr(theirs, "args", {}).items() if str(given.type)[-1] == "!"
            }
            assert required <= set(getattr(field, "args", {})), f"{name}.{field_name}"
    assert get_named_type(schema().query_type).name == "Query"

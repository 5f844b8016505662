"""What a GraphQL query costs, as GitHub computes it before running it.

Every connection counts once per parent that may be there (the product of all `first` above it); a hundred such requests
are a point, rounded, one at least. Nodes are those that the query could return.
https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
"""

from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
)
from graphql.execution.values import get_argument_values, get_variable_values

MOST_NODES = 500_000


@dataclass(slots=True)
class Points:
    """The price of one query."""

    requests: int = 0
    nodes: int = 0

    @property
    def cost(self) -> int:
        return max(1, (self.requests + 50) // 100)


def points_of(document: DocumentNode, *, schema: GraphQLSchema, variables: dict[str, Any]) -> Points:
    """The price of the document's operation; GraphQLError for variables that do not fit it."""
    fragments = {found.name.value: found for found in document.definitions if isinstance(found, FragmentDefinitionNode)}
    operation = next(found for found in document.definitions if isinstance(found, OperationDefinitionNode))
    values = get_variable_values(schema, operation.variable_definitions or (), variables)
    if isinstance(values, list):
        raise values[0]
    counting = _Counting(schema, fragments, values)
    assert schema.query_type is not None
    counting.visit(operation.selection_set, schema.query_type, times=1)
    return counting.points


class _Counting:
    def __init__(self, schema: GraphQLSchema, fragments: dict[str, FragmentDefinitionNode], variables: Any) -> None:
        self.points = Points()
        self._schema = schema
        self._fragments = fragments
        self._variables = variables

    def visit(self, selections: SelectionSetNode | None, parent: Any, *, times: int) -> None:
        for found in selections.selections if selections else ():
            if isinstance(found, FieldNode):
                self._field(found, parent, times=times)
            elif isinstance(found, FragmentSpreadNode):
                fragment = self._fragments[found.name.value]
                self._fragment(fragment.selection_set, fragment.type_condition, parent, times=times)
            elif isinstance(found, InlineFragmentNode):
                self._fragment(found.selection_set, found.type_condition, parent, times=times)

    def _fragment(self, selections: SelectionSetNode, condition: Any, parent: Any, *, times: int) -> None:
        kind = self._schema.get_type(condition.name.value) if condition else parent
        self.visit(selections, kind, times=times)

    def _field(self, field: FieldNode, parent: Any, *, times: int) -> None:
        if not isinstance(parent, GraphQLObjectType | GraphQLInterfaceType) or field.name.value not in parent.fields:
            return
        definition = parent.fields[field.name.value]
        kind = get_named_type(definition.type)
        arguments = get_argument_values(definition, field, self._variables) if definition.args else {}
        if kind.name.endswith("Connection"):
            wanted = arguments.get("first") or arguments.get("last") or 0
            self.points.requests += times
            self.points.nodes += times * wanted
            times *= wanted
        times *= len(arguments.get("ids") or (1,))
        self.visit(field.selection_set, kind, times=times)

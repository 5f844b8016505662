"""Statements that are compiled once: Django needs longer to compile one than PostgreSQL to answer it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import Expression, QuerySet
from psycopg.sql import Literal

if TYPE_CHECKING:
    from django.db.models import Field


@dataclass(frozen=True, slots=True)
class Given:
    """The place of a value in a statement, which is given by this name when the statement is run."""

    name: str


class Parameter(Expression):
    """A value that is given when the statement is run, so that one statement serves for many."""

    def __init__(self, name: str, *, output_field: "Field[Any, Any]") -> None:
        super().__init__(output_field=output_field)
        self._name = name

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [Given(self._name)]


def compiled(rows: QuerySet[Any]) -> str:
    """Return the statement of a queryset, with the names of the values that it is given."""
    return with_names(*rows.query.sql_with_params())


def with_names(sql: str, parameters: Sequence[Any], *, suffix: str = "") -> str:
    """Return the SQL with the names of the values that it is given, and all other parameters in the text."""
    texts = _texts(parameters, suffix=suffix)
    return re.sub("%s", lambda _: next(texts), sql)


def _texts(parameters: Sequence[Any], *, suffix: str) -> Iterator[str]:
    for value in parameters:
        yield f"%({value.name}{suffix})s" if isinstance(value, Given) else _literal(value)


def _literal(value: Any) -> str:
    """Return a constant as SQL. An instant is none: it is of one query alone."""
    if isinstance(value, datetime):
        raise TypeError("A statement that is kept must be given its instants.")
    return Literal(value).as_string(connection.connection).replace("%", "%%")

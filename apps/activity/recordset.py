"""Rows that go to PostgreSQL as one JSON parameter, and the SQL around them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, models


def as_json(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows as one parameter: json_to_recordset turns it into typed columns, arrays included."""
    return json.dumps(list(rows), default=_as_text, ensure_ascii=False)


def typed_columns(model: type[models.Model], names: Sequence[str]) -> str:
    """The column list of json_to_recordset, typed as the table is."""
    types = {field.column: field.db_type(connection) for field in model._meta.concrete_fields}
    return ", ".join(f"{quoted(name)} {types[name]}" for name in names)


def listed(names: Sequence[str], *, of: str = "") -> str:
    """The columns, one after the other; `of` is a table's name with its full stop."""
    return ", ".join(f"{of}{quoted(name)}" for name in names)


def matches(names: Sequence[str], left: str, right: str) -> str:
    """The condition that two tables agree in all of the columns."""
    return " AND ".join(f"{left}.{quoted(name)} = {right}.{quoted(name)}" for name in names)


def quoted(name: str) -> str:
    """A column or a table, as SQL names it."""
    return connection.ops.quote_name(name)


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"A {type(value).__name__} has no place in a row.")

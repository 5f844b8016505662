"""Tables of derived rows, replaced in bulk; only rows that differ are written."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any

from django.db import models

from apps.common import db
from apps.common.db import listed, matches, quoted, typed_columns
from apps.metrics.models import RULES_VERSION

Scope = tuple[Any, ...]
Row = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class DerivedTable:
    """A table of derived rows. `key` identifies rows; a `scope` is what one recalculation replaces."""

    model: type[models.Model]
    key: tuple[str, ...]
    scope: tuple[str, ...]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of a row, in the order of derivations."""
        return tuple(
            str(field.column)
            for field in self.model._meta.concrete_fields
            if not isinstance(field, models.BigAutoField)
        )

    @property
    def name(self) -> str:
        return str(self.model._meta.verbose_name)

    def row(self, **values: Any) -> Row:
        """Return a row with these columns; the version of the rules is added.

        Raises:
            TypeError: a column is missing, or there is no such column.

        """
        values["rules_version"] = RULES_VERSION
        if values.keys() != self._named:
            message = f"columns of {self.name}: {sorted(values.keys() ^ self._named)}"
            raise TypeError(message)
        return self._in_order(values)

    @cached_property
    def _named(self) -> frozenset[str]:
        return frozenset(self.columns)

    @cached_property
    def _in_order(self) -> Callable[[dict[str, Any]], Row]:
        return itemgetter(*self.columns)

    def as_dicts(self, rows: Iterable[Row]) -> list[dict[str, Any]]:
        """Return the rows with the names of their columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in rows]

    def key_of(self, row: Row) -> Row:
        """Return the key of a row."""
        return tuple(row[self.columns.index(name)] for name in self.key)

    def replace(self, scopes: Sequence[Scope], rows: Sequence[Row]) -> None:
        """Make the table have exactly `rows` within `scopes`, whose locks the caller has; equal rows are kept."""
        db.run(self.replacing, [as_json(self.scope, scopes), as_json(self.columns, rows)])

    def stored(self, scopes: Sequence[Scope]) -> set[Row]:
        """Return the stored rows within `scopes`, in the shape of derived ones."""
        rows = db.run(self.reading, [as_json(self.scope, scopes)])
        return {tuple(map(hashable, row)) for row in rows}

    def scopes_of(self, repository_id: int) -> set[Scope]:
        """Return every scope with a row in the repository."""
        rows = self.model._default_manager.filter(repository_id=repository_id)
        return set(rows.values_list(*self.scope))

    @cached_property
    def replacing(self) -> str:
        updates = ", ".join(
            f"{quoted(name)} = excluded.{quoted(name)}" for name in self.columns if name not in self.key
        )
        table = self.model._meta.db_table
        return f"""
            WITH scopes AS MATERIALIZED (SELECT * FROM json_to_recordset(%s) AS row ({self.typed(self.scope)})),
            fresh AS MATERIALIZED (SELECT * FROM json_to_recordset(%s) AS row ({self.typed(self.columns)})),
            gone AS (
                DELETE FROM {table} WHERE ctid = ANY(ARRAY(
                    SELECT kept.ctid
                    FROM scopes CROSS JOIN LATERAL (
                        SELECT ctid, {listed(self.key)} FROM {table} AS kept
                        WHERE {matches(self.scope, "kept", "scopes")}
                        OFFSET 0  -- by index, one scope after the other: a batch is small beside any table
                    ) AS kept
                    WHERE ({listed(self.key, of="kept.")}) NOT IN (SELECT {listed(self.key)} FROM fresh)
                ))
            )
            INSERT INTO {table} AS kept ({listed(self.columns)})
            SELECT {listed(self.columns)} FROM fresh ORDER BY {listed(self.key)}
            ON CONFLICT ({listed(self.key)}) DO UPDATE SET {updates}
            WHERE ({listed(self.columns, of="kept.")}) IS DISTINCT FROM ({listed(self.columns, of="excluded.")})
        """  # noqa: S608  names of our own tables and columns

    @cached_property
    def reading(self) -> str:
        return f"""
            WITH scopes AS MATERIALIZED (SELECT * FROM json_to_recordset(%s) AS row ({self.typed(self.scope)}))
            SELECT {listed(self.columns, of="kept.")}
            FROM {self.model._meta.db_table} AS kept JOIN scopes ON {matches(self.scope, "kept", "scopes")}
        """  # noqa: S608  names of our own tables and columns

    def typed(self, names: Sequence[str]) -> str:
        return typed_columns(self.model, names)


def hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def selected(names: Collection[str], rows: Iterable[dict[str, Any]]) -> list[Row]:
    """Return these columns of the rows, without repetitions."""
    return list(dict.fromkeys(tuple(row[name] for name in names) for row in rows))


def as_json(names: Sequence[str], rows: Iterable[Row]) -> str:
    """Return the rows as one JSON parameter with column names."""
    return db.as_json(dict(zip(names, row, strict=True)) for row in rows)

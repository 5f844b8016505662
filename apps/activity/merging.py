"""The merge in SQL: commutative, associative and idempotent, many rows in one statement.

`SnapshotMerge`: the greater stamp wins the whole field group. `UnionMerge`: rows are a set, and each column of a row
moves one way only.

Both first look at the rows that exist and leave out what would change nothing, so a fact that is in every payload (its
repository, its sender) takes no row lock. The other rows are locked, or inserted, in the order of their key: two
transactions never wait for each other in a circle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import models

from apps.common import db
from apps.common.db import as_json, listed, matches, quoted, typed_columns

Row = Mapping[str, Any]

DIGEST_LENGTH = 16


@dataclass(frozen=True)
class ChangeKey:
    """The Change that follows when a row changed: its kind, and the columns that make up its key."""

    kind: str
    columns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Merge:
    """The merge of one class of facts into `model`. The columns `within` say where a row belongs."""

    model: type[models.Model]
    key: tuple[str, ...]
    within: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    change: ChangeKey | None = None

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """The columns that are attributes of the fact."""
        return (*self.key, *self.content)

    @cached_property
    def content(self) -> tuple[str, ...]:
        """The attributes that are not the key."""
        return (*self.within, *self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of a row, in the order of the statement."""
        return self.attributes

    def apply(self, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
        """Merge the rows; return the columns of the Change's key for each row that really changed."""
        return db.run(self.statement, [as_json(rows)])

    @property
    def statement(self) -> str:
        raise NotImplementedError

    @property
    def table(self) -> str:
        return quoted(self.model._meta.db_table)

    @cached_property
    def record_definition(self) -> str:
        return typed_columns(self.model, self.names)

    @property
    def returned(self) -> tuple[str, ...]:
        return self.change.columns if self.change else self.key

    def matches(self, left: str, right: str) -> str:
        return matches(self.key, left, right)


@dataclass(frozen=True, kw_only=True)
class SnapshotMerge(Merge):
    """The greater stamp wins the field group whole; `stamp` names its column."""

    stamp: str = "stamp"

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.attributes, self.stamp)

    @cached_property
    def statement(self) -> str:
        stamp = quoted(self.stamp)
        updates = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in (*self.content, self.stamp))
        return f"""
            WITH incoming AS MATERIALIZED (
                SELECT DISTINCT ON ({listed(self.key)}) *
                FROM json_to_recordset(%s) AS row ({self.record_definition})
                ORDER BY {listed(self.key)}, {stamp} COLLATE "C" DESC
            ), newer AS MATERIALIZED (
                SELECT incoming.*
                FROM incoming LEFT JOIN {self.table} AS kept ON {self.matches("kept", "incoming")}
                WHERE kept.{stamp} IS NULL OR kept.{stamp} < incoming.{stamp} COLLATE "C"
            ), locked AS MATERIALIZED (
                SELECT {listed(self.key, of="kept.")}, kept.{stamp}
                FROM {self.table} AS kept JOIN newer ON {self.matches("kept", "newer")}
                ORDER BY {listed(self.key, of="kept.")}
                FOR NO KEY UPDATE OF kept
            ), merged AS (
                INSERT INTO {self.table} AS kept ({listed(self.names)})
                SELECT {listed(self.names, of="newer.")}
                FROM newer LEFT JOIN locked ON {self.matches("locked", "newer")}
                ORDER BY locked.{stamp} IS NULL, {listed(self.key, of="newer.")}
                ON CONFLICT ({listed(self.key)}) DO UPDATE SET {updates}
                WHERE kept.{stamp} < excluded.{stamp} COLLATE "C"
                RETURNING {listed(self.names, of="kept.")}
            )
            SELECT {listed(self.returned, of="merged.")}
            FROM merged LEFT JOIN locked ON {self.matches("locked", "merged")}
            WHERE right(locked.{stamp}, {DIGEST_LENGTH}) IS DISTINCT FROM right(merged.{stamp}, {DIGEST_LENGTH})
        """  # noqa: S608  names of our own tables and columns


@dataclass(frozen=True, kw_only=True)
class UnionMerge(Merge):
    """The union of rows whose values move one way: `columns` up, `earliest` down; null is no value."""

    earliest: tuple[str, ...] = ()

    @cached_property
    def content(self) -> tuple[str, ...]:
        return (*self.within, *self.moving)

    @property
    def moving(self) -> tuple[str, ...]:
        return (*self.columns, *self.earliest)

    def pick(self, name: str) -> str:
        return "least" if name in self.earliest else "greatest"

    @cached_property
    def statement(self) -> str:
        return f"""
            WITH incoming AS MATERIALIZED (
                SELECT {self.gathered}
                FROM json_to_recordset(%s) AS row ({self.record_definition})
                GROUP BY {listed(self.key)}
            )
            INSERT INTO {self.table} AS kept ({listed(self.names)})
            SELECT {listed(self.names, of="incoming.")}
            FROM incoming
            WHERE NOT EXISTS (
                SELECT FROM {self.table} AS kept
                WHERE {self.matches("kept", "incoming")} AND NOT ({self.moves("incoming")})
            )
            ORDER BY {listed(self.key, of="incoming.")}
            ON CONFLICT ({listed(self.key)}) {self.resolution}
            RETURNING {listed(self.returned, of="kept.")}
        """  # noqa: S608  names of our own tables and columns

    @property
    def gathered(self) -> str:
        """The select list that merges the facts of one batch into one row a key."""
        aggregates = {"least": "min", "greatest": "max"}
        picked = (f"{aggregates[self.pick(name)]}({quoted(name)}) AS {quoted(name)}" for name in self.moving)
        within = (f"max({quoted(name)}) AS {quoted(name)}" for name in self.within)
        return ", ".join((listed(self.key), *within, *picked))

    def moves(self, source: str) -> str:
        """The condition that a row of `source` would move any column of the existing row."""
        if not self.moving:
            return "false"
        return " OR ".join(
            f"{self.pick(name)}(kept.{quoted(name)}, {source}.{quoted(name)}) IS DISTINCT FROM kept.{quoted(name)}"
            for name in self.moving
        )

    @property
    def resolution(self) -> str:
        if not self.moving:
            return "DO NOTHING"
        updates = ", ".join(
            f"{quoted(name)} = {self.pick(name)}(kept.{quoted(name)}, excluded.{quoted(name)})" for name in self.moving
        )
        return f"DO UPDATE SET {updates} WHERE {self.moves('excluded')}"

"""The merge in SQL: commutative, associative and idempotent, many rows in one statement.

`SnapshotMerge`: the greater stamp wins the whole field group, and an author stays. `UnionMerge`: rows are a set, and
each column of a row moves one way only.

Both first look at the rows that exist and leave out what would change nothing, so a fact that is in every payload (its
repository, its sender) takes no row lock. A statement locks the other rows, or inserts them, in the order of their key,
and the first statement of a table inserts all that are missing (`record.insert_first`): two transactions that insert
never wait for each other in a circle. Two that change existing rows by facts of different kinds might; PostgreSQL then
ends one, which is processed again.
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
    """The Change that follows when a row changed: its kind, and the columns that make up its key.

    No change follows from rows whose column `unless_false` is false.
    """

    kind: str
    columns: tuple[str, ...]
    unless_false: str = ""

    @property
    def returned(self) -> tuple[str, ...]:
        """Return the columns that say which Change follows."""
        return (*self.columns, self.unless_false) if self.unless_false else self.columns

    def key_of(self, returned: tuple[Any, ...]) -> str | None:
        """Return the key of the Change that follows from a row with these columns, None if none does."""
        if self.unless_false and returned[-1] is False:
            return None
        return ":".join(map(str, returned[: len(self.columns)]))


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
        """Merge the rows; return the columns that say which Change follows for each row that really changed."""
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
        return self.change.returned if self.change else self.key

    def matches(self, left: str, right: str) -> str:
        return matches(self.key, left, right)

    def key_of(self, row: Row) -> tuple[Any, ...]:
        return tuple(row[name] for name in self.key)


@dataclass(frozen=True, kw_only=True)
class SnapshotMerge(Merge):
    """The greater stamp wins the field group whole, except for `lasting` columns, which never lose their value.

    Two values of a lasting column do not occur; if they did, the least would win in any order. `stamp` names the column
    of the stamp.
    """

    stamp: str = "stamp"
    lasting: tuple[str, ...] = ()

    @cached_property
    def content(self) -> tuple[str, ...]:
        return (*self.within, *self.columns, *self.lasting)

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.attributes, self.stamp)

    @cached_property
    def statement(self) -> str:
        stamp = quoted(self.stamp)
        return f"""
            WITH incoming AS MATERIALIZED (
                SELECT DISTINCT ON ({listed(self.key)}) {self.gathered}
                FROM json_to_recordset(%s) AS row ({self.record_definition})
                ORDER BY {listed(self.key)}, {stamp} COLLATE "C" DESC
            ), newer AS MATERIALIZED (
                SELECT incoming.*
                FROM incoming LEFT JOIN {self.table} AS kept ON {self.matches("kept", "incoming")}
                WHERE kept.{stamp} IS NULL OR {self.brings_news("incoming")}
            ), locked AS MATERIALIZED (
                SELECT {listed((*self.key, self.stamp, *self.lasting), of="kept.")}
                FROM {self.table} AS kept JOIN newer ON {self.matches("kept", "newer")}
                ORDER BY {listed(self.key, of="kept.")}
                FOR NO KEY UPDATE OF kept
            ), merged AS (
                INSERT INTO {self.table} AS kept ({listed(self.names)})
                SELECT {listed(self.names, of="newer.")}
                FROM newer LEFT JOIN locked ON {self.matches("locked", "newer")}
                ORDER BY locked.{stamp} IS NULL, {listed(self.key, of="newer.")}
                ON CONFLICT ({listed(self.key)}) DO UPDATE SET {self.updates}
                WHERE {self.brings_news("excluded")}
                RETURNING {listed(self.names, of="kept.")}
            )
            SELECT {listed(self.returned, of="merged.")}
            FROM merged LEFT JOIN locked ON {self.matches("locked", "merged")}
            WHERE right(coalesce(locked.{stamp}, ''), {DIGEST_LENGTH}) <> right(merged.{stamp}, {DIGEST_LENGTH})
               {self.any_lasting("OR locked.{0} IS DISTINCT FROM merged.{0}")}
        """  # noqa: S608  names of our own tables and columns

    def stub(self, key: tuple[Any, ...]) -> Row:
        """Return a row that has only its key. It is older than any snapshot, and no Change follows from it."""
        return self.defaults | dict(zip(self.key, key, strict=True))

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The values of the columns of a row that nothing has described."""
        columns = {field.column: field for field in self.model._meta.concrete_fields}
        return {
            name: columns[name].db_default if columns[name].has_db_default() else None
            for name in (*self.content, self.stamp)
        }

    @property
    def gathered(self) -> str:
        """The select list of the newest snapshot, with a lasting value from any snapshot of the same row."""
        first = f"min({{0}}) OVER (PARTITION BY {listed(self.key)}) AS {{0}}"
        others = [name for name in self.names if name not in self.lasting]
        return ", ".join((listed(others), *(first.format(quoted(name)) for name in self.lasting)))

    def brings_news(self, source: str) -> str:
        """Return the condition that a row of `source` is newer than the kept one, or has a lasting value it lacks."""
        is_newer = f'kept.{quoted(self.stamp)} < {source}.{quoted(self.stamp)} COLLATE "C"'
        lacks = f"OR least(kept.{{0}}, {source}.{{0}}) IS DISTINCT FROM kept.{{0}}"
        return f"({is_newer} {self.any_lasting(lacks)})"

    @property
    def updates(self) -> str:
        """The assignments of an update: an older row may bring a lasting value and must change nothing else."""
        newest = "excluded.{0}"
        if self.lasting:
            stamp = quoted(self.stamp)
            newest = f'CASE WHEN kept.{stamp} < excluded.{stamp} COLLATE "C" THEN excluded.{{0}} ELSE kept.{{0}} END'
        moving = (*self.within, *self.columns, self.stamp)
        assigned = [f"{{0}} = {newest}".format(quoted(name)) for name in moving]
        assigned += ["{0} = least(kept.{0}, excluded.{0})".format(quoted(name)) for name in self.lasting]
        return ", ".join(assigned)

    def any_lasting(self, condition: str) -> str:
        return " ".join(condition.format(quoted(name)) for name in self.lasting)


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

"""One statement for any number of figures: the rows of each are read once, and all that is asked of them comes back.

Of each kind of rows, the queryset is compiled, wrapped and aggregated: as a whole and by bucket (GROUPING SETS), and if
asked for, by group, by bin of a histogram, and by the reason why rows do not count.

To compile it takes Python longer than all the rest, so the text is kept, with parameters for the values of the query.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import cached_property
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection

from apps.common import db
from apps.metrics.figures.compiled_rows import Columns, Parameters, columns_of, compiled_rows
from apps.metrics.figures.dimensions import DIMENSIONS, Dimension
from apps.metrics.figures.figure_query import GIVEN, FigureQuery, QueryTemplate
from apps.metrics.figures.populations import Population, Remark, Rows
from apps.metrics.figures.sql_expressions import Given, of_asked, with_names

Aggregates = Mapping[str, Any]
NO_ROWS: Aggregates = {"n": 0}
QUANTILES = (0.5, 0.75, 0.9)


class Wants(Enum):
    """What is computed beside the number of rows."""

    COUNT = "count"
    DISTRIBUTION = "distribution"  # mean and quantiles of the values
    SUM = "sum"  # of the values
    ACCOUNTS = "accounts"  # the number of accounts that the rows are attributed to
    DAYS = "days"  # the local days of the rows


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A population, and what is to be computed of it."""

    key: str
    population: Population
    wants: Wants = Wants.COUNT
    remarks: Mapping[str, Remark] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Detail:
    """What is read beside the values of the whole window.

    `buckets`: from when until when each bucket of a series is. `bins`: by key, the bounds of a histogram.
    """

    buckets: tuple[tuple[datetime, datetime], ...] = ()
    dimension: str = ""
    quantiles: tuple[float, ...] = QUANTILES
    bins: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    has_exclusions: bool = False

    @property
    def shape(self) -> tuple[Any, ...]:
        """Return what the text of a statement depends on."""
        return bool(self.buckets), self.dimension, self.quantiles, bool(self.bins), self.has_exclusions


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of one population: of the whole window, by bucket, group, bin, and reason of exclusion."""

    whole: Aggregates = field(default_factory=lambda: NO_ROWS)
    buckets: dict[int, Aggregates] = field(default_factory=dict)
    groups: dict[str, Aggregates] = field(default_factory=dict)
    bins: dict[int, int] = field(default_factory=dict)
    excluded: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is wanted for one query."""

    wanted: Sequence[Wanted]
    query: FigureQuery
    detail: Detail

    @property
    def shape(self) -> tuple[Any, ...]:
        """Return what the text of a statement depends on."""
        populations = tuple((one.key, one.population) for one in self.wanted)
        return self.query.shape, self.detail.shape, populations

    @property
    def is_large(self) -> bool:
        """Return whether PostgreSQL plans it for its own values, to read it with several processes."""
        return len(self.query.repositories) * self.query.window.days >= LARGE

    def value_of(self, name: str) -> Any:
        """Return a value that the statement is given."""
        match name:
            case "starts":
                return [start for start, _ in self.detail.buckets]
            case "instants":
                return [self.query.end_at, *(min(end, self.query.end_at) for _, end in self.detail.buckets)]
            case "time_zone":
                return self.query.window.time_zone
            case _:
                return GIVEN[name].value(self.query)


def read(questions: Sequence[Question]) -> list[dict[str, Found]]:
    """Compute everything in one statement; for each question, what was found by key."""
    batches = list(_batches_of(questions))
    statement = _statement_of(batches)
    found: dict[int, dict[str, dict[str, Any]]] = {id(each): {one.key: {} for one in each.wanted} for each in questions}
    for name, kind, bucket, key, values, *place in statement.run(batches):
        part = statement.parts[name]
        into = found[id(batches[part.batch][place[0] if place else 0])]
        for one, value in zip(part.wanted, json.loads(values), strict=True):
            _take(into[one.key], kind, bucket, key, value, left_out=one.population.left_out)
    return [{key: Found(**values) for key, values in found[id(each)].items()} for each in questions]


MANY = 5
Batch = Sequence[Question]


def _batches_of(questions: Sequence[Question]) -> Iterator[Batch]:
    """Yield those that are alike together if they are many; any other by itself, for which the server can plan."""
    alike: dict[tuple[Any, ...], list[Question]] = {}
    for one in questions:
        alike.setdefault(one.shape, []).append(one)
    for batch in alike.values():
        yield from [batch] if len(batch) >= MANY else ([one] for one in batch)


def _take(into: dict[str, Any], part: str, bucket: int | None, key: str | None, value: Any, *, left_out: str) -> None:
    match part:
        case "value" if bucket is None:
            into["whole"] = value
        case "value":
            into.setdefault("buckets", {})[bucket] = value
        case "group":
            into.setdefault("groups", {})[key or ""] = value
        case "bin" if value:
            into.setdefault("bins", {})[bucket] = value
        case "excluded" if key is not None:
            into.setdefault("excluded", {})[key] = value["rows"]
        case "excluded" if value["left_out"]:
            into.setdefault("excluded", {})[left_out] = value["left_out"]


@dataclass(eq=False)
class Statement:
    """A compiled statement. `given` has the value of each parameter, by the number of its batch and by name.

    `tables`: for each batch, the parameter that holds its questions' values as JSON rows, and their names.
    """

    text: str
    given: Mapping[str, tuple[int, str]]
    parts: Mapping[str, "RowsPart"]
    tables: Mapping[str, Mapping[str, tuple[int, str]]] = field(default_factory=dict)
    uses: int = 0

    def run(self, batches: Sequence[Batch]) -> list[tuple[Any, ...]]:
        """Return the rows, with the place of the question if its batch has many; none if nothing can be found."""
        if not self.text:
            return []
        values = {key: batches[number][0].value_of(name) for key, (number, name) in self.given.items()}
        for table, given in self.tables.items():
            [number] = {number for number, _ in given.values()}
            rows_asked = ({key: one.value_of(name) for key, (_, name) in given.items()} for one in batches[number])
            values[table] = db.as_json({"place": place, **row} for place, row in enumerate(rows_asked))
        is_large = any(batch[0].is_large for batch in batches) and not self.tables
        if not is_large and self.is_prepared():
            return db.run(self.text, values)
        with connection.cursor() as cursor:
            cursor.execute(self.text, values)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def is_prepared(self) -> bool:
        """Return whether the server keeps the plan: of the first few that are used often, for each takes 3 MB."""
        self.uses += 1
        if self not in _prepared and self.uses >= OFTEN and len(_prepared) < MOST_PREPARED:
            _prepared.append(self)
        return self in _prepared


OFTEN, MOST_PREPARED, MOST_STATEMENTS = 3, 6, 100
LARGE = 5000  # days of repositories
_prepared: list[Statement] = []
_statements: dict[tuple[Any, ...], Statement] = {}


def _statement_of(batches: Sequence[Batch]) -> Statement:
    """Return the statement of these questions, which is compiled once for all that are alike."""
    shape = tuple((one[0].shape, len(one) > 1) for one in batches)
    statement = _statements.get(shape)
    if statement is None:
        if len(_statements) >= MOST_STATEMENTS:
            _forget()
        statement = _statements[shape] = _compile(batches)
    return statement


def _forget() -> None:
    """Forget the statements but those that the server keeps."""
    for shape, statement in list(_statements.items()):
        if statement not in _prepared:
            _statements.pop(shape, None)


def _compile(batches: Sequence[Batch]) -> Statement:
    """Return one statement: questions alone in their batch are compiled in.

    Each larger batch is one text, run for every row of its values.
    """
    statement = _compile_each({number: batch[0] for number, batch in enumerate(batches) if len(batch) == 1})
    many = {number: _compile_each({number: batch[0]}) for number, batch in enumerate(batches) if len(batch) > 1}
    tables = {f"asked_{number}": one for number, one in many.items() if one.text}
    if not tables:
        return statement
    texts = [f"SELECT found.*, 0 FROM ({statement.text}) AS found"] if statement.text else []  # noqa: S608  our own
    for table, one in tables.items():
        columns = ", ".join(f"{key} {_type_of(name)}" for key, (_, name) in one.given.items())
        source = f"json_to_recordset(%({table})s) AS asked (place int, {columns})"
        texts.append(f"SELECT found.*, asked.place FROM {source} CROSS JOIN LATERAL ({of_asked(one.text)}) AS found")  # noqa: S608  our own
    parts = {name: part for one in (statement, *tables.values()) for name, part in one.parts.items()}
    given_rows = {table: one.given for table, one in tables.items()}
    return Statement(" UNION ALL ".join(texts), statement.given, parts, given_rows)


def _type_of(name: str) -> str:
    of_window = {"starts": "timestamptz[]", "instants": "timestamptz[]", "time_zone": "text"}
    return of_window.get(name) or str(GIVEN[name].field.db_type(connection))


def _compile_each(questions: Mapping[int, Question]) -> Statement:
    """Return the statement: of some rows in order, of all others as one part, which the server can read in parallel."""
    given: dict[str, tuple[int, str]] = {}
    parts: dict[str, RowsPart] = {}
    tables: list[str] = []
    in_order: list[str] = []
    in_parallel: list[str] = []
    for number, question in questions.items():
        for part in _parts_of(number, question):
            try:
                table = part.table()
            except EmptyResultSet:
                continue
            parts[part.name] = part
            rows, *own = (_named(one, number=number, given=given) for one in (table, *part.selects()))
            tables.append(f"{part.name} AS ({rows})")
            (in_order if part.rows.read_in_order else in_parallel).extend(own)
    if in_parallel:
        tables.append(f"in_parallel AS MATERIALIZED ({' UNION ALL '.join(in_parallel)})")
        in_order.append("SELECT * FROM in_parallel")
    text = f"WITH {', '.join(tables)} {' UNION ALL '.join(in_order)}" if tables else ""
    return Statement(text, given, parts)


def _named(part: tuple[str, Parameters], *, number: int, given: dict[str, tuple[int, str]]) -> str:
    """Return the text of a part, and note what it is given."""
    sql, parameters = part
    given |= {f"{one.name}_{number}": (number, one.name) for one in parameters if isinstance(one, Given)}
    return with_names(sql, parameters, suffix=f"_{number}")


def _parts_of(number: int, question: Question) -> Iterator["RowsPart"]:
    template = QueryTemplate.of(question.query)
    alike: dict[Rows, list[Wanted]] = {}
    for one in question.wanted:
        alike.setdefault(one.population.rows, []).append(one)
    for place, (rows, wanted) in enumerate(alike.items()):
        yield RowsPart(number, f"rows_{number}_{place}", rows, wanted, template, question.detail)


@dataclass(frozen=True)
class RowsPart:
    """The part of a statement that reads one kind of rows for each question of a batch."""

    batch: int
    name: str
    rows: Rows
    wanted: Sequence[Wanted]
    query: QueryTemplate
    detail: Detail

    @property
    def dimension(self) -> Dimension | None:
        return DIMENSIONS[self.detail.dimension] if self.detail.dimension else None

    def table(self) -> tuple[str, Parameters]:
        """Return the rows with the number of their bucket, and of what is measured."""
        sql, parameters = compiled_rows(self.rows, self.query, dimension=self.detail.dimension)
        return self._at_instants(sql, parameters) if self.rows.is_level else self._in_buckets(sql, parameters)

    def _at_instants(self, sql: str, parameters: Sequence[Any]) -> tuple[str, Parameters]:
        """Return the rows at the end of the query, which is bucket 1, and at the end of each bucket of the series."""
        source = (
            f"unnest(%s::timestamptz[]) WITH ORDINALITY AS instant (at, bucket) CROSS JOIN LATERAL ({sql}) AS counted"
        )
        columns = ", ".join(f"counted.{name}" for name in self.columns)
        return f"SELECT {columns}, instant.bucket FROM {source}", [Given("instants"), *parameters]  # noqa: S608  our own names

    def _in_buckets(self, sql: str, parameters: Sequence[Any]) -> tuple[str, Parameters]:
        columns = list(self.columns)
        own: Parameters = []
        if self.detail.buckets:
            columns.append("width_bucket(at, %s::timestamptz[]) AS bucket")
            own.append(Given("starts"))
        if self.needs_days:
            columns.append("(at AT TIME ZONE %s::text)::date AS day")
            own.append(Given("time_zone"))
        return f"SELECT {', '.join(columns)} FROM ({sql}) AS counted", [*own, *parameters]  # noqa: S608  our own names

    @cached_property
    def names(self) -> Columns:
        return columns_of(self.rows)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that are read of the rows, each once."""
        return tuple(dict.fromkeys(self._columns()))

    def _columns(self) -> Iterator[str]:
        yield from ("at", "excluded")
        for one in self.wanted:
            yield from self.counted(one)
            if one.wants in (Wants.DISTRIBUTION, Wants.SUM):
                yield self.names.value(one.population)
            yield from filter(None, map(self.names.remark, one.remarks.values()))
        if any(one.wants is Wants.ACCOUNTS for one in self.wanted):
            yield "account"
        if self.dimension is not None:
            yield "dimension"

    def counted(self, one: Wanted) -> list[str]:
        """Return the condition that a row counts, as a list of none or one."""
        return [name] if (name := self.names.counts(one.population)) else []

    @property
    def needs_days(self) -> bool:
        remarks = (remark for one in self.wanted for remark in one.remarks.values())
        return any(one.wants is Wants.DAYS for one in self.wanted) or any(one.counts_days for one in remarks)

    def selects(self) -> Iterator[tuple[str, Parameters]]:
        """Yield the aggregations of the rows, each with its parameters."""
        values = self.aggregates()
        if self.rows.is_level:
            yield self.select("value", values, bucket="nullif(bucket, 1) - 1", group_by="GROUP BY bucket"), []
        else:
            sets = "GROUP BY GROUPING SETS ((), (bucket))" if self.detail.buckets else ""
            yield self.select("value", values, bucket="bucket" if sets else "NULL", group_by=sets), []
        whole = " AND bucket = 1" if self.rows.is_level else ""
        if self.dimension is not None:
            many = self.dimension.has_many
            source = (
                f"{self.name} CROSS JOIN LATERAL unnest({GROUPS_OR_NONE}) AS each (dimension)" if many else self.name
            )
            key = "each.dimension" if many else "dimension"
            yield self.select("group", values, key=key, source=source, where=whole, group_by="GROUP BY 4"), []
        for place, one in enumerate(self.wanted):
            if bounds := self.detail.bins.get(one.key):
                yield self.bins(place, one, where=whole), [list(bounds)]
        if self.detail.has_exclusions:
            yield self.excluded(where=whole), []

    def select(
        self,
        part: str,
        values: str,
        *,
        bucket: str = "NULL",
        key: str = "NULL",
        source: str = "",
        where: str = "",
        group_by: str,
    ) -> str:
        columns = f"'{self.name}', '{part}', ({bucket})::int, {key}::text, {values}::text"
        source = source or self.name
        return f"SELECT {columns} FROM {source} WHERE excluded IS NULL{where} {group_by}"  # noqa: S608  names of our own

    def aggregates(self) -> str:
        """Return the expression of a JSON array with an object of each wanted."""
        return f"json_build_array({', '.join(map(self._aggregates_of, self.wanted))})"

    def _aggregates_of(self, one: Wanted) -> str:
        counted = _filter(self.counted(one))
        value = self.names.value(one.population)
        found = {"n": f"count(*){counted}"}
        match one.wants:
            case Wants.DISTRIBUTION:
                shares = ", ".join(map(str, self.detail.quantiles))
                found["mean"] = f"avg({value}){counted}"
                found["quantiles"] = f"percentile_cont(ARRAY[{shares}]) WITHIN GROUP (ORDER BY {value}){counted}"
            case Wants.SUM:
                found["sum"] = f"sum({value}){counted}"
            case Wants.ACCOUNTS:
                found["accounts"] = f"count(DISTINCT account){counted}"
            case Wants.DAYS:
                found["days"] = f"array_agg(DISTINCT day){counted}"
        for name, remark in one.remarks.items():
            only = filter(None, [self.names.remark(remark)])
            what = "DISTINCT day" if remark.counts_days else "*"
            found[f"remark_{name}"] = f"count({what}){_filter([*self.counted(one), *only])}"
        pairs = (f"'{name}', {sql}" for name, sql in found.items())
        return f"json_build_object({', '.join(pairs)})"

    def bins(self, place: int, one: Wanted, *, where: str) -> str:
        """Return the select of a histogram: the others of the rows get null."""
        value = self.names.value(one.population)
        counts = "".join(f" AND {condition}" for condition in self.counted(one))
        nulls = ["count(*)" if number == place else "NULL" for number in range(len(self.wanted))]
        return self.select(
            "bin",
            f"json_build_array({', '.join(nulls)})",
            bucket=f"width_bucket({value}, %s::float8[])",
            where=f"{where} AND {value} IS NOT NULL{counts}",
            group_by="GROUP BY 3",
        )

    def excluded(self, *, where: str) -> str:
        """Return the select of the numbers of rows that do not count, by reason; null is what counts for the team."""
        values = ", ".join(
            f"json_build_object('rows', count(*), 'left_out', count(*){_filter(self._left_out(one))})"
            for one in self.wanted
        )
        columns = f"'{self.name}', 'excluded', NULL::int, excluded, json_build_array({values})::text"
        return f"SELECT {columns} FROM {self.name} WHERE true{where} GROUP BY excluded"  # noqa: S608  names of our own

    def _left_out(self, one: Wanted) -> list[str]:
        return [f"{name} IS NOT TRUE" for name in self.counted(one)] or ["false"]


GROUPS_OR_NONE = "CASE WHEN cardinality(dimension) > 0 THEN dimension ELSE ARRAY[NULL] END"


def _filter(conditions: Sequence[str]) -> str:
    return f" FILTER (WHERE {' AND '.join(conditions)})" if conditions else ""

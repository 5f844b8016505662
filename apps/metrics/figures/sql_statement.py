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
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import BooleanField, ExpressionWrapper, FloatField, Q
from django.db.models.functions import Cast

from apps.common import db
from apps.metrics.figures.compiled_querysets import Given, with_names
from apps.metrics.figures.dimensions import DIMENSIONS, Dimension, distinct_account_of
from apps.metrics.figures.populations import Population, Rows
from apps.metrics.figures.query import GIVEN, FigureQuery, QueryTemplate

Aggregates = Mapping[str, Any]
Parameters = list[Any]
NONE: Aggregates = {"n": 0}
QUANTILES = (0.5, 0.75, 0.9)


class Wants(Enum):
    """What is computed beside the number of rows."""

    COUNT = "count"
    DISTRIBUTION = "distribution"  # mean and quantiles of the values
    SUM = "sum"  # of the values
    ACCOUNTS = "accounts"  # the number of accounts that the rows are attributed to
    DAYS = "days"  # the local days of the rows


@dataclass(frozen=True, kw_only=True)
class Remark:
    """An additional count: of the rows that meet a condition, or of the local days of the rows."""

    only: Q | None = None
    counts_days: bool = False


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

    whole: Aggregates = field(default_factory=lambda: NONE)
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

    def given(self, name: str) -> Any:
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
    statement = _statement_of(questions)
    found: list[dict[str, dict[str, Any]]] = [{one.key: {} for one in each.wanted} for each in questions]
    for name, kind, bucket, key, values in statement.run(questions):
        part = statement.parts[name]
        for one, value in zip(part.wanted, json.loads(values), strict=True):
            _take(found[part.question][one.key], kind, bucket, key, value, left_out=one.population.left_out)
    return [{key: Found(**values) for key, values in each.items()} for each in found]


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
    """A compiled statement. `given` has the value of each parameter, by the number of its question and by name."""

    text: str
    given: Mapping[str, tuple[int, str]]
    parts: Mapping[str, "RowsPart"]
    uses: int = 0

    def run(self, questions: Sequence[Question]) -> list[tuple[Any, ...]]:
        """Return the rows; none if nothing can be found."""
        if not self.text:
            return []
        self.uses += 1
        values = {key: questions[number].given(name) for key, (number, name) in self.given.items()}
        if self.is_prepared():
            return db.run(self.text, values)
        with connection.cursor() as cursor:
            cursor.execute(self.text, values)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def is_prepared(self) -> bool:
        """Return whether the server keeps the plan: of the first few that are used often, for each takes 3 MB."""
        if self not in _prepared and self.uses >= OFTEN and len(_prepared) < MOST_PREPARED:
            _prepared.append(self)
        return self in _prepared


OFTEN, MOST_PREPARED, MOST_STATEMENTS = 3, 6, 100
_prepared: list[Statement] = []
_statements: dict[tuple[Any, ...], Statement] = {}


def _statement_of(questions: Sequence[Question]) -> Statement:
    """Return the statement of these questions, which is compiled once for all that are alike."""
    shape = tuple(one.shape for one in questions)
    statement = _statements.get(shape)
    if statement is None:
        if len(_statements) >= MOST_STATEMENTS:
            _forget()
        statement = _statements[shape] = _compile(questions)
    return statement


def _forget() -> None:
    """Forget the statements but those that the server keeps."""
    for shape, statement in list(_statements.items()):
        if statement not in _prepared:
            _statements.pop(shape, None)


def _compile(questions: Sequence[Question]) -> Statement:
    given: dict[str, tuple[int, str]] = {}
    parts: dict[str, RowsPart] = {}
    tables: list[str] = []
    selects: list[str] = []
    for number, question in enumerate(questions):
        for part in _parts_of(number, question):
            try:
                table = part.table()
            except EmptyResultSet:
                continue
            parts[part.name] = part
            rows, *own = (_named(one, number=number, given=given) for one in (table, *part.selects()))
            tables.append(f"{part.name} AS ({rows})")
            selects += own
    text = f"WITH {', '.join(tables)} {' UNION ALL '.join(selects)}" if tables else ""
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
    """The part of a statement that reads one kind of rows for one question."""

    question: int
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
        query = self.query.at_each_instant() if self.rows.is_level else self.query
        rows = self.rows(query)
        columns = self.columns(query)
        sql, parameters = rows.annotate(**columns).order_by().values("at", "excluded", *columns).query.sql_with_params()
        return self._at_instants(sql, parameters) if self.rows.is_level else self._in_buckets(sql, parameters)

    def _at_instants(self, sql: str, parameters: Sequence[Any]) -> tuple[str, Parameters]:
        """Return the rows at the end of the query, which is bucket 1, and at the end of each bucket of the series."""
        source = (
            f"unnest(%s::timestamptz[]) WITH ORDINALITY AS instant (at, bucket) CROSS JOIN LATERAL ({sql}) AS counted"
        )
        return f"SELECT counted.*, instant.bucket FROM {source}", [Given("instants"), *parameters]  # noqa: S608  our own names

    def _in_buckets(self, sql: str, parameters: Sequence[Any]) -> tuple[str, Parameters]:
        columns = ["*"]
        own: Parameters = []
        if self.detail.buckets:
            columns.append("width_bucket(at, %s::timestamptz[]) AS bucket")
            own.append(Given("starts"))
        if self.needs_days:
            columns.append("(at AT TIME ZONE %s::text)::date AS day")
            own.append(Given("time_zone"))
        return f"SELECT {', '.join(columns)} FROM ({sql}) AS counted", [*own, *parameters]  # noqa: S608  our own names

    def columns(self, query: FigureQuery) -> dict[str, Any]:
        """Return the expressions that are computed of each row."""
        found: dict[str, Any] = {}
        for place, one in enumerate(self.wanted):
            if one.population.only is not None:
                found[f"counts_{place}"] = _truth(one.population.only)
            if one.wants in (Wants.DISTRIBUTION, Wants.SUM):
                found[f"value_{place}"] = Cast(one.population.value(query), FloatField())
            for number, remark in enumerate(one.remarks.values()):
                if remark.only is not None:
                    found[f"remark_{place}_{number}"] = _truth(remark.only)
        if any(one.wants is Wants.ACCOUNTS for one in self.wanted):
            found["account"] = distinct_account_of(self.rows.table)
        if self.dimension is not None:
            found["dimension"] = self.dimension.expressions[self.rows.table]
        return found

    @property
    def needs_days(self) -> bool:
        remarks = (remark for one in self.wanted for remark in one.remarks.values())
        return any(one.wants is Wants.DAYS for one in self.wanted) or any(one.counts_days for one in remarks)

    def selects(self) -> Iterator[tuple[str, Parameters]]:
        """Yield the aggregations of the rows, each with its parameters."""
        values = self.aggregates()
        if self.rows.is_level:
            yield self.select("value", values, bucket="nullif(bucket, 1) - 1", group="GROUP BY bucket"), []
        else:
            sets = "GROUP BY GROUPING SETS ((), (bucket))" if self.detail.buckets else ""
            yield self.select("value", values, bucket="bucket" if sets else "NULL", group=sets), []
        whole = " AND bucket = 1" if self.rows.is_level else ""
        if self.dimension is not None:
            many = self.dimension.has_many
            source = (
                f"{self.name} CROSS JOIN LATERAL unnest({GROUPS_OR_NONE}) AS each (dimension)" if many else self.name
            )
            key = "each.dimension" if many else "dimension"
            yield self.select("group", values, key=key, source=source, where=whole, group="GROUP BY 4"), []
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
        group: str,
    ) -> str:
        columns = f"'{self.name}', '{part}', ({bucket})::int, {key}::text, {values}::text"
        source = source or self.name
        return f"SELECT {columns} FROM {source} WHERE excluded IS NULL{where} {group}"  # noqa: S608  names of our own

    def aggregates(self) -> str:
        """Return the expression of a JSON array with an object of each wanted."""
        return f"json_build_array({', '.join(self._aggregates_of(*each) for each in enumerate(self.wanted))})"

    def _aggregates_of(self, place: int, one: Wanted) -> str:
        counted = _filter(_counts(place, one))
        found = {"n": f"count(*){counted}"}
        match one.wants:
            case Wants.DISTRIBUTION:
                shares = ", ".join(map(str, self.detail.quantiles))
                found["mean"] = f"avg(value_{place}){counted}"
                found["quantiles"] = f"percentile_cont(ARRAY[{shares}]) WITHIN GROUP (ORDER BY value_{place}){counted}"
            case Wants.SUM:
                found["sum"] = f"sum(value_{place}){counted}"
            case Wants.ACCOUNTS:
                found["accounts"] = f"count(DISTINCT account){counted}"
            case Wants.DAYS:
                found["days"] = f"array_agg(DISTINCT day){counted}"
        for number, (name, remark) in enumerate(one.remarks.items()):
            only = [f"remark_{place}_{number}"] if remark.only is not None else []
            what = "DISTINCT day" if remark.counts_days else "*"
            found[f"remark_{name}"] = f"count({what}){_filter(_counts(place, one) + only)}"
        pairs = (f"'{name}', {sql}" for name, sql in found.items())
        return f"json_build_object({', '.join(pairs)})"

    def bins(self, place: int, one: Wanted, *, where: str) -> str:
        """Return the select of a histogram: the others of the rows get null."""
        counts = "".join(f" AND {condition}" for condition in _counts(place, one))
        nulls = ["count(*)" if number == place else "NULL" for number in range(len(self.wanted))]
        return self.select(
            "bin",
            f"json_build_array({', '.join(nulls)})",
            bucket=f"width_bucket(value_{place}, %s::float8[])",
            where=f"{where} AND value_{place} IS NOT NULL{counts}",
            group="GROUP BY 3",
        )

    def excluded(self, *, where: str) -> str:
        """Return the select of the numbers of rows that do not count, by reason; null is what counts for the team."""
        values = ", ".join(
            f"json_build_object('rows', count(*), 'left_out', count(*){_filter(_left_out(place, one))})"
            for place, one in enumerate(self.wanted)
        )
        columns = f"'{self.name}', 'excluded', NULL::int, excluded, json_build_array({values})::text"
        return f"SELECT {columns} FROM {self.name} WHERE true{where} GROUP BY excluded"  # noqa: S608  names of our own


GROUPS_OR_NONE = "CASE WHEN cardinality(dimension) > 0 THEN dimension ELSE ARRAY[NULL] END"


def _truth(condition: Q) -> Any:
    return ExpressionWrapper(condition, output_field=BooleanField())


def _counts(place: int, one: Wanted) -> list[str]:
    return [f"counts_{place}"] if one.population.only is not None else []


def _left_out(place: int, one: Wanted) -> list[str]:
    return [f"counts_{place} IS NOT TRUE"] if one.population.only is not None else ["false"]


def _filter(conditions: Sequence[str]) -> str:
    return f" FILTER (WHERE {' AND '.join(conditions)})" if conditions else ""

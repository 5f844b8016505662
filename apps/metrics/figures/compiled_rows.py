"""Rows as SQL with all that figures measure of them, compiled once for every statement that reads some of it.

Django needs longer to compile a statement than PostgreSQL to answer it. PostgreSQL leaves out what nothing reads.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db.models import BooleanField, ExpressionWrapper, FloatField, Q
from django.db.models.functions import Cast

from apps.metrics.figures.dimensions import ACCOUNTS, DIMENSIONS, distinct_account_of
from apps.metrics.figures.figure_query import FigureQuery, QueryTemplate
from apps.metrics.figures.populations import Population, Remark, Rows, no_value
from apps.metrics.figures.registry import FIGURES

Parameters = list[Any]
MOST_COMPILED = 500  # about 4 kB each


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns that figures read of one kind of rows."""

    populations: tuple[Population, ...]
    remarks: tuple[Remark, ...]

    def value(self, population: Population) -> str:
        """Return the column with what is measured of the rows of the population."""
        return f"value_{self.populations.index(population)}"

    def counts(self, population: Population) -> str:
        """Return the column that says whether a row counts; empty if all of the population do."""
        return f"counts_{self.populations.index(population)}" if population.only is not None else ""

    def remark(self, remark: Remark) -> str:
        """Return the column that says whether the remark holds for a row; empty if it does for all."""
        return f"remark_{self.remarks.index(remark)}" if remark.only is not None else ""


@cache
def columns_of(rows: Rows) -> Columns:
    """Return the columns of all figures that read such rows."""
    found = [(population, figure.remarks) for figure in FIGURES.values() for population in figure.populations]
    alike = [(population, remarks) for population, remarks in found if population.rows == rows]
    remarks = (remark for _, of_figure in alike for remark in of_figure.values())
    return Columns(tuple(dict.fromkeys(population for population, _ in alike)), tuple(dict.fromkeys(remarks)))


@lru_cache(maxsize=MOST_COMPILED)
def compiled_rows(rows: Rows, query: QueryTemplate, *, dimension: str) -> tuple[str, Parameters]:
    """Return the SQL of the rows and its parameters: with `at`, `excluded`, and the columns of all figures."""
    seen = query.at_each_instant() if rows.is_level else query
    columns = dict(_columns(rows, seen))
    if dimension:
        columns["dimension"] = DIMENSIONS[dimension].expressions[rows.table]
    found = rows(seen).annotate(**columns).order_by().values("at", "excluded", *columns)
    sql, parameters = found.query.sql_with_params()
    return sql, list(parameters)


def compile_usual_rows() -> None:
    """Compile what people ask for first of a new process; it needs no database."""
    for query in _usual_queries():
        for rows in dict.fromkeys(one.rows for figure in FIGURES.values() for one in figure.populations):
            with suppress(EmptyResultSet):
                compiled_rows(rows, query, dimension="")


def _usual_queries() -> Iterator[QueryTemplate]:
    """Yield those without filters, of teams with and without members and patterns of environments."""
    for memberships, partial_members in ((False, False), (True, False), (True, True)):
        for has_patterns in (False, True):
            yield QueryTemplate.with_only(
                memberships=memberships, partial_members=partial_members, production_environments=has_patterns
            )


def _columns(rows: Rows, query: FigureQuery) -> Iterator[tuple[str, Any]]:
    names = columns_of(rows)
    for population in names.populations:
        if population.only is not None:
            yield names.counts(population), _truth(population.only)
        if population.value is not no_value:
            yield names.value(population), Cast(population.value(query), FloatField())
    for remark in names.remarks:
        if remark.only is not None:
            yield names.remark(remark), _truth(remark.only)
    if rows.table in ACCOUNTS:
        yield "account", distinct_account_of(rows.table)


def _truth(condition: Q) -> Any:
    return ExpressionWrapper(condition, output_field=BooleanField())

"""SQL expressions that Django lacks, and the text of what is compiled once and given its values when it is run."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import connection
from django.db.models import (
    BigIntegerField,
    BooleanField,
    DateTimeField,
    Expression,
    FloatField,
    Func,
    QuerySet,
    TextField,
)
from psycopg.sql import Literal

from apps.common import db

if TYPE_CHECKING:
    from django.db.models import Field


class Ids(Func):
    """An array of ids. It is sent as one text, which costs Python nothing for each of them."""

    template = "%(expressions)s::bigint[]"
    output_field: ClassVar[Any] = ArrayField(BigIntegerField())


def array_of(ids: Iterable[int]) -> str:
    """Return the text of an array of ids."""
    return f"{{{','.join(map(str, sorted(ids)))}}}"


class IsAnyOf(Func):
    """Membership of an id in a list: one array, where `IN` would be as many parameters."""

    template = "(%(expressions)s))"
    arg_joiner = " = ANY("
    output_field: ClassVar[Any] = BooleanField()


class Pair(Func):
    """Two expressions as one, to be looked up among pairs."""

    template = "(%(expressions)s)"


class IsAmong(Func):
    """Membership among the rows of a subquery, which is read once, where `Exists` would look for each."""

    template = "(%(expressions)s)"
    arg_joiner = " IN "
    output_field: ClassVar[Any] = BooleanField()


class IsLikeAny(Func):
    """Whether a text is like any of an array of patterns, in any case."""

    template = "(%(expressions)s))"
    arg_joiner = " ILIKE ANY("
    output_field: ClassVar[Any] = BooleanField()


class Present(Func):
    """An array of those of some texts that are not null."""

    template = "array_remove(ARRAY[%(expressions)s], NULL)"
    output_field: ClassVar[Any] = ArrayField(TextField())


class AtInstant(Func):
    """The instant of the row of `instant` that a statement joins to rows which are counted at several instants."""

    template = '"instant"."at"'
    output_field: ClassVar[Any] = DateTimeField()


class DraftSeconds(Func):
    """The time up to an instant that a pull request was a draft, from its draft starts and ends."""

    template = """(
        SELECT coalesce(sum(extract(epoch FROM least(coalesce(until, seen_at), seen_at) - since)), 0)::float
        FROM (SELECT %(expressions)s) AS given (starts, ends, seen_at), unnest(starts, ends) AS draft (since, until)
        WHERE since < seen_at
    )"""
    output_field: ClassVar[Any] = FloatField()


class WasDraft(Func):
    """Whether a pull request was a draft at an instant, from its draft starts and ends."""

    template = """(
        SELECT coalesce(bool_or(since <= seen_at AND (until IS NULL OR until > seen_at)), false)
        FROM (SELECT %(expressions)s) AS given (starts, ends, seen_at), unnest(starts, ends) AS draft (since, until)
    )"""
    output_field: ClassVar[Any] = BooleanField()


def working_seconds_at(at: str, *, calendar: int) -> str:
    """Return the SQL of a team's working seconds before an instant, given in seconds since 1970.

    The two arrays are read once for a statement; a slice is read from the table whole, and not at each use.
    """
    of_team = f"FROM teams_workingcalendar WHERE team_id = {calendar:d}"
    starts, seconds = f"(SELECT starts[1:] {of_team})", f"(SELECT seconds[1:] {of_team})"
    return f"""(
        SELECT CASE WHEN place = 0 THEN 0
                    ELSE least({seconds}[place] + {at} - {starts}[place], {seconds}[place + 1]) END
        FROM (SELECT width_bucket({at}, {starts})) AS found (place)
    )"""  # noqa: S608  as above


class WorkingSeconds(Func):
    """The working seconds of a team between two instants, given in seconds since 1970; at least 0."""

    output_field: ClassVar[Any] = FloatField()

    def __init__(self, since: Any, until: Any, *, calendar: int) -> None:
        super().__init__(since, until)
        before, after = (working_seconds_at(f"given.{name}", calendar=calendar) for name in ("since", "until"))
        self.extra["template"] = f"""(
            SELECT CASE WHEN until > since THEN {after} - {before} WHEN until <= since THEN 0 END
            FROM (SELECT %(expressions)s) AS given (since, until)
        )"""  # noqa: S608  as above


class WorkingDraftSeconds(Func):
    """The working seconds up to an instant that a pull request was a draft, from its draft starts and ends."""

    output_field: ClassVar[Any] = FloatField()

    def __init__(self, starts: str, ends: str, seen_at: Any, *, calendar: int) -> None:
        super().__init__(starts, ends, seen_at)
        before, after = (working_seconds_at(f"part.{name}", calendar=calendar) for name in ("since", "until"))
        self.extra["template"] = f"""(
            SELECT coalesce(sum({after} - {before}), 0)
            FROM (SELECT %(expressions)s) AS given (starts, ends, seen_at), unnest(starts, ends) AS draft (since, until)
            CROSS JOIN LATERAL (
                SELECT extract(epoch FROM draft.since)::float,
                       extract(epoch FROM least(coalesce(draft.until, seen_at), seen_at))::float
            ) AS part (since, until)
            WHERE draft.since < seen_at
        )"""  # noqa: S608  as above


def like_pattern(pattern: str) -> str:
    """Return a pattern with * for any text as one of LIKE."""
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%")


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


def of_asked(text: str) -> str:
    """Return the text of a statement that is given its values by `asked`, which has a row for each answer."""
    return db.PLACEHOLDER.sub(lambda found: f"asked.{found[1]}", text)


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

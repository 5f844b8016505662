"""SQL expressions that Django lacks."""

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db.models import Aggregate, BooleanField, Count, FloatField, Func, Value

QUANTILES = (0.5, 0.75, 0.9)


class Quantiles(Aggregate):
    """The median, 75th and 90th percentile, interpolated (R-7); null without rows."""

    function = "percentile_cont"
    template = f"percentile_cont(ARRAY{list(QUANTILES)}) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field: ClassVar[Any] = ArrayField(FloatField())


def count_rows(*, filter: Any = None) -> Count:  # noqa: A002  as Django's aggregates call it
    """Return the number of rows, without reading a column that an index may lack."""
    return Count(Value(1), filter=filter)


class IsAnyOf(Func):
    """Membership of an id in a list: one array, where `IN` would be as many parameters."""

    template = "(%(expressions)s))"
    arg_joiner = " = ANY("
    output_field: ClassVar[Any] = BooleanField()


class IsLikeAny(Func):
    """Whether a text is like any of an array of patterns, in any case."""

    template = "(%(expressions)s))"
    arg_joiner = " ILIKE ANY("
    output_field: ClassVar[Any] = BooleanField()


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

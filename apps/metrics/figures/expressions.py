"""SQL expressions that Django lacks."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db.models import BigIntegerField, BooleanField, DateTimeField, FloatField, Func, TextField, Value


class Ids(Func):
    """An array of ids. It is sent as one text, which costs Python nothing for each of them."""

    template = "%(expressions)s::bigint[]"
    output_field: ClassVar[Any] = ArrayField(BigIntegerField())

    def __init__(self, ids: Iterable[int]) -> None:
        super().__init__(Value(f"{{{','.join(map(str, sorted(ids)))}}}", output_field=TextField()))


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

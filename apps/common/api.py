"""Shared parts of the API: unknown parameters and fields are errors, filters, and pages."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import django_filters
from django import forms
from django_filters.fields import IsoDateTimeField
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.mixins import ListModelMixin
from rest_framework.pagination import CursorPagination, LimitOffsetPagination
from rest_framework.request import Request
from rest_framework.views import APIView

LONGEST_NAME = 200
EVERYWHERE = ("format",)  # DRF's own, for clients that cannot send an Accept header
TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_OF_PAGES = ("limit_query_param", "offset_query_param", "cursor_query_param", "page_size_query_param")


class OnlyKnownParameters(APIView):
    """Answer 400 to an unknown parameter, with a list of the known ones.

    Known are the parameters of the view's filters and pages, and those it declares; only GET has any.
    """

    declared_parameters: Iterable[str] = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        known = self.known_parameters() if request.method in ("GET", "HEAD") else frozenset(EVERYWHERE)
        if unknown := sorted(set(request.query_params) - known):
            words = f"Unknown parameter. Parameters: {', '.join(sorted(known))}."
            raise ValidationError({name: [words] for name in unknown})

    def known_parameters(self) -> frozenset[str]:
        """Return the names of the known parameters."""
        filters = getattr(getattr(self, "filterset_class", None), "base_filters", {})
        pages = getattr(self, "pagination_class", None) if isinstance(self, ListModelMixin) else None
        of_pages = (getattr(pages, attribute, None) for attribute in _OF_PAGES)
        return frozenset([*EVERYWHERE, *self.declared_parameters, *filters, *(name for name in of_pages if name)])


def truth_in(parameters: Mapping[str, str], name: str) -> bool:
    """Return whether the parameter is true; False if missing, ValidationError if neither true nor false."""
    try:
        return parse_truth(parameters.get(name, "")) or False
    except ValueError as error:
        raise ValidationError({name: [str(error)]}) from error


def parse_truth(text: str) -> bool | None:
    """Return the boolean of a text; None if empty, ValueError if neither true nor false."""
    if text and text.lower() not in TRUTHS:
        raise ValueError(f"{text!r} is not true or false.")
    return TRUTHS.get(text.lower())


class OnlyKnownFields(serializers.BaseSerializer[Any]):
    """A serializer that rejects unknown and read-only fields."""

    fields: Any

    def to_internal_value(self, data: Any) -> Any:
        """Validate the body; errors name the wrong fields and the known ones."""
        unknown = sorted(map(str, set(data) - set(self.fields))) if isinstance(data, Mapping) else ()
        words = f"Unknown field. Fields: {', '.join(self.fields)}."
        wrong = {name: [words] for name in unknown}
        for name, field in self.fields.items():
            if isinstance(data, Mapping) and name in data and field.read_only:
                wrong[name] = ["This field is read-only."]
        if wrong:
            raise serializers.ValidationError(wrong)
        return super().to_internal_value(data)


@extend_schema_field({"type": ["string", "integer"], "maxLength": LONGEST_NAME})
class RepositoryField(serializers.CharField):
    """GitHub's id or the full name of a repository."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=LONGEST_NAME, **options)


class InstantField(IsoDateTimeField):  # type: ignore[misc]  # it comes without types
    """An instant in UTC, because PostgreSQL does not accept every offset, such as -18:21."""

    def to_python(self, value: Any) -> datetime | None:
        instant: datetime | None = super().to_python(value)
        try:
            return instant and instant.astimezone(UTC)
        except OverflowError as error:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid") from error


class InstantFilter(django_filters.IsoDateTimeFilter):  # type: ignore[misc]  # it comes without types
    """Filter by an instant with any offset."""

    field_class = InstantField


class TruthField(forms.Field):
    """True or false; any other value is an error."""

    def to_python(self, value: Any) -> bool | None:
        try:
            return parse_truth(str(value or ""))
        except ValueError as error:
            raise forms.ValidationError(str(error), code="invalid") from error


class TruthFilter(django_filters.BooleanFilter):  # type: ignore[misc]  # it comes without types
    """Filter by a boolean."""

    field_class = TruthField


class AnyOfFilter(django_filters.MultipleChoiceFilter):  # type: ignore[misc]  # it comes without types
    """Filter by several values of a column of the row itself.

    No row is found twice by it, so it asks for no DISTINCT, which would read and sort all rows for one page.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(distinct=False, **options)


class Pages(LimitOffsetPagination):
    """Pages by `limit` and `offset`, with the total count."""

    default_limit = 50
    max_limit = 500


class NewestFirst(CursorPagination):
    """Pages by cursor: stable while rows are added, without counting the table."""

    page_size = 50
    max_page_size = 500
    page_size_query_param = "limit"
    ordering = "-id"

    def decode_cursor(self, request: Request) -> Any:
        """Answer 404 to a cursor of another list, as to one that cannot be decoded."""
        cursor = super().decode_cursor(request)
        try:
            int((cursor and cursor.position) or 0)
        except ValueError as error:
            raise NotFound(self.invalid_cursor_message) from error
        return cursor

"""What a body may say: a field that is unknown or only read is an error, as it must not quietly change nothing."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import django_filters
from django import forms
from django_filters.fields import IsoDateTimeField
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.mixins import ListModelMixin
from rest_framework.pagination import CursorPagination, LimitOffsetPagination
from rest_framework.request import Request
from rest_framework.views import APIView

EVERYWHERE = ("format",)  # DRF's own, for whoever cannot send an Accept header
TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_OF_PAGES = ("limit_query_param", "offset_query_param", "cursor_query_param", "page_size_query_param")


class OnlyKnownParameters(APIView):
    """Answers 400 to a parameter that it does not know, and names those it does.

    Known are those of the filters and pages of a view and those it declares; only reading has any.
    """

    declared_parameters: Iterable[str] = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        known = self.known_parameters() if request.method in ("GET", "HEAD") else frozenset(EVERYWHERE)
        if unknown := sorted(set(request.query_params) - known):
            words = f"There is no such parameter here; there are {', '.join(sorted(known))}."
            raise ValidationError({name: [words] for name in unknown})

    def known_parameters(self) -> frozenset[str]:
        """The names that a reader may give."""
        filters = getattr(getattr(self, "filterset_class", None), "base_filters", {})
        pages = getattr(self, "pagination_class", None) if isinstance(self, ListModelMixin) else None
        of_pages = (getattr(pages, attribute, None) for attribute in _OF_PAGES)
        return frozenset([*EVERYWHERE, *self.declared_parameters, *filters, *(name for name in of_pages if name)])


def truth_in(parameters: Mapping[str, str], name: str) -> bool:
    """Return whether the parameter is true; False where it is missing, ValidationError where it is neither."""
    try:
        return parse_truth(parameters.get(name, "")) or False
    except ValueError as error:
        raise ValidationError({name: [str(error)]}) from error


def parse_truth(text: str) -> bool | None:
    """Return what the text says; None for an empty one, ValueError for one that is neither true nor false."""
    if text and text.lower() not in TRUTHS:
        raise ValueError(f"{text!r} is neither true nor false.")
    return TRUTHS.get(text.lower())


class OnlyKnownFields(serializers.BaseSerializer[Any]):
    """A serializer that refuses fields that it does not have, and those that can only be read."""

    fields: Any

    def to_internal_value(self, data: Any) -> Any:
        """What the body says; 400 names the fields that are wrong, and those that there are."""
        unknown = sorted(map(str, set(data) - set(self.fields))) if isinstance(data, Mapping) else ()
        words = f"There is no such field here; there are {', '.join(self.fields)}."
        wrong = {name: [words] for name in unknown}
        for name, field in self.fields.items():
            if isinstance(data, Mapping) and name in data and field.read_only:
                wrong[name] = ["This field can only be read."]
        if wrong:
            raise serializers.ValidationError(wrong)
        return super().to_internal_value(data)


class InstantField(IsoDateTimeField):  # type: ignore[misc]  # it comes without types
    """An instant in UTC: offsets that PostgreSQL does not know, such as -18:21, never reach it."""

    def to_python(self, value: Any) -> datetime | None:
        instant: datetime | None = super().to_python(value)
        try:
            return instant and instant.astimezone(UTC)
        except OverflowError as error:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid") from error


class InstantFilter(django_filters.IsoDateTimeFilter):  # type: ignore[misc]  # it comes without types
    """Rows by an instant, in any offset."""

    field_class = InstantField


class TruthField(forms.Field):
    """True or false; whatever is neither is an error and not quietly left out."""

    def to_python(self, value: Any) -> bool | None:
        try:
            return parse_truth(str(value or ""))
        except ValueError as error:
            raise forms.ValidationError(str(error), code="invalid") from error


class TruthFilter(django_filters.BooleanFilter):  # type: ignore[misc]  # it comes without types
    """Rows by what is true of them."""

    field_class = TruthField


class Pages(LimitOffsetPagination):
    """`limit` and `offset`, with the count of everything that matches."""

    default_limit = 50
    max_limit = 500


class NewestFirst(CursorPagination):
    """Pages that stay put while rows come in; nobody counts a table of millions for a page."""

    page_size = 50
    max_page_size = 500
    page_size_query_param = "limit"
    ordering = "-id"

    def decode_cursor(self, request: Request) -> Any:
        """A cursor that was not made here is 404, as one that cannot be decoded."""
        cursor = super().decode_cursor(request)
        try:
            int((cursor and cursor.position) or 0)
        except ValueError as error:
            raise NotFound(self.invalid_cursor_message) from error
        return cursor

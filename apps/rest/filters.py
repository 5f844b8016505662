"""Filters of lists that refuse what the database could not compare."""

from datetime import UTC, datetime
from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django_filters.fields import IsoDateTimeField

from apps.rest.parameters import parse_truth


class InstantField(IsoDateTimeField):  # type: ignore[misc]  # it comes without types
    """An instant in UTC: offsets that PostgreSQL does not know, such as -18:21, never reach it."""

    def to_python(self, value: Any) -> datetime | None:
        instant: datetime | None = super().to_python(value)
        try:
            return instant and instant.astimezone(UTC)
        except OverflowError as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from error


class InstantFilter(django_filters.IsoDateTimeFilter):  # type: ignore[misc]  # it comes without types
    """Rows by an instant, in any offset."""

    field_class = InstantField


class TruthField(forms.Field):
    """True or false; whatever is neither is an error and not quietly left out."""

    def to_python(self, value: Any) -> bool | None:
        try:
            return parse_truth(str(value or ""))
        except ValueError as error:
            raise ValidationError(str(error), code="invalid") from error


class TruthFilter(django_filters.BooleanFilter):  # type: ignore[misc]  # it comes without types
    """Rows by what is true of them."""

    field_class = TruthField

"""Filters and pages of deliveries."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any

import django_filters
from django.db.models import F, QuerySet
from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from apps.common.api import InstantFilter, NewestFirst
from apps.webhooks.models import Delivery


class DeliveryFilter(django_filters.FilterSet):
    """Filters by repository, event, state and time."""

    state = django_filters.MultipleChoiceFilter(
        choices=Delivery.State.choices, help_text="Repeat the parameter for several states."
    )
    event = django_filters.CharFilter(help_text="GitHub's name: `pull_request`.")
    action = django_filters.CharFilter(help_text="The payload's action: `opened`.")
    reason = django_filters.CharFilter(help_text="The reason of its state: `shape_mismatch`.")
    repository = django_filters.NumberFilter(field_name="repository_id", help_text="GitHub's id of the repository.")
    installation = django_filters.NumberFilter(field_name="installation_id", help_text="GitHub's id.")
    guid = django_filters.UUIDFilter(help_text="`X-GitHub-Delivery`, as GitHub shows it.")
    received_after = InstantFilter(field_name="received_at", lookup_expr="gte", help_text="An instant, inclusive.")
    received_before = InstantFilter(field_name="received_at", lookup_expr="lt", help_text="An instant, exclusive.")

    class Meta:
        model = Delivery
        fields = ("state", "event", "action", "reason", "repository", "installation", "guid")


FEW = 50_000
"""Up to this many deliveries are read by repository, then filtered and sorted."""
OF_TIME = ("received_after", "received_before")


class NewestDeliveriesFirst(NewestFirst):
    """Pages ordered by arrival if a time filter is used, otherwise by id."""

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: Any) -> tuple[str, ...]:
        return "-place", "-id"

    def decode_cursor(self, request: Request) -> Any:
        if not is_by_time(request.query_params):
            return super().decode_cursor(request)
        cursor = super(NewestFirst, self).decode_cursor(request)
        try:
            is_known = cursor is None or cursor.position is None or parse_datetime(str(cursor.position)) is not None
        except ValueError:
            is_known = False
        if not is_known:
            raise NotFound(self.invalid_cursor_message)
        return cursor


def is_by_time(parameters: Collection[str]) -> bool:
    """Return whether a time filter is used."""
    return any(name in parameters for name in OF_TIME)


def with_place(rows: QuerySet[Delivery], *, visible: QuerySet[Delivery] | None, by_time: bool) -> QuerySet[Delivery]:
    """Return rows with `place`, by which they are ordered; `visible` are the rows of a user who does not see all.

    If none of the user's few deliveries has the event, but those of others have it a hundred thousand times, PostgreSQL
    would read all of these in the order of an index. No index has the order of a sum, so it reads by repository.
    """
    column, nothing = ("received_at", timedelta()) if by_time else ("id", 0)
    is_little = visible is not None and visible.order_by()[: FEW + 1].count() <= FEW
    return rows.annotate(place=F(column) + nothing if is_little else F(column))

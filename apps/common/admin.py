"""Base classes of admin pages: read-only, searched by index, with estimated counts."""

import json
from typing import Any, ClassVar

from django.core.paginator import Paginator
from django.db import connection
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.admin import ModelAdmin

from apps.common.db import is_id

COUNTED_EXACTLY = 10_000


class EstimatingPaginator(Paginator):  # type: ignore[type-arg]  # Django's takes no parameter at run time
    """Count at most 10,000 rows; beyond that, use PostgreSQL's estimate."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        query = getattr(rows, "query", None)
        if query is None or query.distinct or query.is_sliced:
            return super().count
        if query.where:
            counted: int = rows.order_by()[: COUNTED_EXACTLY + 1].count()
            return counted if counted <= COUNTED_EXACTLY else max(counted, estimate_matches(rows))
        estimate = estimate_rows(query.model)
        return estimate if estimate > COUNTED_EXACTLY else super().count


def estimate_rows(model: type[Model]) -> int:
    """Return PostgreSQL's estimate of the table's rows; negative before the first ANALYZE."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [model._meta.db_table])
        return int(cursor.fetchone()[0])


def estimate_matches(rows: QuerySet[Any]) -> int:
    """Return PostgreSQL's estimate of the rows of a list, without reading them."""
    [plan] = json.loads(rows.order_by().explain(format="json"))
    return int(plan["Plan"]["Plan Rows"])


class SmallPagesAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Lists of which a page stays small: the theme needs 5 to 10 KB for each row."""

    list_per_page = 25


class FindingAdmin(SmallPagesAdmin):
    """Search by index: a number is an id, other text is compared with the search fields.

    `search_ids` are integer fields; `search_fields` are text lookups, written out (`login__istartswith`). A search
    like owner/name#12 goes by `search_number` within the repository.
    """

    search_ids: ClassVar[tuple[str, ...]] = ()
    search_number: ClassVar[str] = ""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        name, hash_sign, number = term.rpartition("#")
        if self.search_number and hash_sign and is_id(number):
            within = Q(repository__full_name__iexact=name) if name else Q()
            return queryset.filter(within, **{self.search_number: int(number)}), False
        if self.search_ids and is_id(term):
            return queryset.filter(any_of(self.search_ids, int(term))), False
        lookups = tuple(self.get_search_fields(request))
        return (queryset.filter(any_of(lookups, term)) if lookups else queryset.none()), False


class ReadOnlyAdmin(FindingAdmin):
    """Rows that nobody edits by hand."""

    show_full_result_count = False
    paginator = EstimatingPaginator
    actions: ClassVar[tuple[str, ...] | None] = None

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def any_of(lookups: tuple[str, ...], value: object) -> Q:
    return Q(*((lookup, value) for lookup in lookups), _connector=Q.OR)

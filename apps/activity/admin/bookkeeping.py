"""Waiting changes, coverage and provenance in the admin."""

from django.contrib import admin

from apps.activity.admin.reading import ReadOnlyAdmin
from apps.activity.models import Change, Coverage, Provenance


@admin.register(Change)
class ChangeAdmin(ReadOnlyAdmin):
    """Changes that wait for recalculation; usually empty."""

    list_display = ("kind", "key", "recorded_at")
    list_filter = ("kind",)
    search_fields = ("key",)
    ordering = ("-id",)


@admin.register(Coverage)
class CoverageAdmin(ReadOnlyAdmin):
    """Periods in which a stream of a repository is complete."""

    list_display = ("repository", "stream", "from_at", "to_at")
    list_select_related = ("repository",)
    list_filter = ("stream",)
    search_fields = ("repository__full_name__iexact",)
    search_ids = ("repository",)
    ordering = ("-id",)


@admin.register(Provenance)
class ProvenanceAdmin(ReadOnlyAdmin):
    """Deliveries and API reads by the entity they reported; search by the key of either."""

    list_display = ("entity", "key", "source", "source_key")
    list_filter = ("entity", "source")
    search_fields = ("key", "source_key")
    ordering = ("-id",)

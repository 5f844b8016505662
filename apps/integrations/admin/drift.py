"""Drift, single drifted entities and counts of streams in the admin."""

from typing import ClassVar

from django.contrib import admin

from apps.common.admin import ReadOnlyAdmin
from apps.integrations.models import Drift, DriftedEntity, StreamCount

OF_SYNC = ("repository_sync__repository", "repository_sync__sync")
SEARCHED: tuple[str, ...] = ("repository_sync__repository__full_name__istartswith",)


class OfSyncAdmin(ReadOnlyAdmin):
    """Rows of a repository in a run."""

    list_select_related = OF_SYNC
    search_fields = SEARCHED
    search_ids = ("repository_sync__repository", "repository_sync")
    search_help_text = "The beginning of a repository's name, or its id"
    ordering: ClassVar = ["-id"]


@admin.register(Drift)
class DriftAdmin(OfSyncAdmin):
    """How far each stream was off before a run repaired it."""

    list_display = ("repository_sync", "stream", *Drift.COUNTS, "recovery_sources")
    list_filter = ("stream", "repository_sync__sync__cause")


@admin.register(DriftedEntity)
class DriftedEntityAdmin(OfSyncAdmin):
    """Single entities that were off."""

    list_display = ("repository_sync", "stream", "entity", "key", "finding")
    list_filter = ("finding", "stream", "entity")


@admin.register(StreamCount)
class StreamCountAdmin(OfSyncAdmin):
    """The counts of a stream on GitHub and here, and what became of the difference."""

    list_display = ("repository_sync", "stream", "outcome", "theirs", "ours", "counted_at")
    list_filter = ("outcome", "stream")

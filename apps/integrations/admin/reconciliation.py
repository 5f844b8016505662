"""Runs of reconciliation for operators: read only, with their teams, their repositories and their drift."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Case, Count, Q, QuerySet, When
from django.http import HttpRequest
from unfold.admin import TabularInline
from unfold.decorators import display

from apps.common.admin import ReadOnlyAdmin
from apps.integrations.models import Drift, DriftedEntity, RepositorySync, StreamCount, SyncLog, TeamSync
from apps.metrics.figures.formatting import NO_VALUE

COLOURS = {
    "waiting": "info",
    "running": "info",
    "done": "success",
    "completed": "success",
    "success": "success",
    "failed": "danger",
}


class ReadOnlyInline(TabularInline):  # type: ignore[misc]  # unfold is not typed
    """Rows that are shown and not edited."""

    extra = 0
    tab = True
    per_page = 25
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class TeamSyncInline(ReadOnlyInline):
    """The result of each team."""

    model = TeamSync
    fields = ("team", "shown_status", "repositories", "error", "finished_at")
    readonly_fields = fields
    verbose_name_plural = "teams"

    def get_queryset(self, request: HttpRequest) -> "QuerySet[TeamSync]":
        queryset: QuerySet[TeamSync] = super().get_queryset(request)
        return queryset.select_related("team", "sync").order_by("team__slug")

    @display(description="Status", label=COLOURS)  # type: ignore[untyped-decorator]  # unfold is not typed
    def shown_status(self, team_run: TeamSync) -> str:
        return team_run.status

    @admin.display(description="Repositories")
    def repositories(self, team_run: TeamSync) -> str:
        return f"{len(team_run.repository_ids):,}"


class RepositorySyncInline(ReadOnlyInline):
    """The result of each repository; those that failed come first."""

    model = RepositorySync
    fields = ("repository", "shown_state", "why", "read", "off", "finished_at")
    readonly_fields = fields
    verbose_name_plural = "repositories"

    def get_queryset(self, request: HttpRequest) -> "QuerySet[RepositorySync]":
        queryset: QuerySet[RepositorySync] = super().get_queryset(request)
        rows = queryset.select_related("repository", "sync").prefetch_related("drifts")
        return rows.order_by(Case(When(state="failed", then=0), default=1), "repository__full_name")

    @display(description="State", label=COLOURS)  # type: ignore[untyped-decorator]  # unfold is not typed
    def shown_state(self, row: RepositorySync) -> str:
        return row.state

    @admin.display(description="Why")
    def why(self, row: RepositorySync) -> str:
        return row.error or row.reason.replace("_", " ") or NO_VALUE

    @admin.display(description="Read, as it might differ")
    def read(self, row: RepositorySync) -> str:
        return ", ".join(row.differs) or NO_VALUE

    @admin.display(description="Off")
    def off(self, row: RepositorySync) -> str:
        found = [words for drift in row.drifts.all() if (words := drift_words(drift))]
        return "; ".join(found) or NO_VALUE


@admin.register(SyncLog)
class SyncLogAdmin(ReadOnlyAdmin):
    """The runs of nights, of hourly teams and on request."""

    list_display = ("sync_id", "shown_status", "through", "error", "created_at", "finished_at")
    list_filter = ("status", "cause")
    search_fields = ("sync_id__istartswith", "team__slug__iexact")
    search_help_text = "The beginning of a run's name, or a team's slug"
    ordering = ("-id",)
    inlines = (RepositorySyncInline, TeamSyncInline)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[SyncLog]":
        queryset: QuerySet[SyncLog] = super().get_queryset(request)
        ended = Q(repositories__state__in=["done", "failed"])
        return queryset.annotate(count=Count("repositories"), ended=Count("repositories", filter=ended))

    @display(description="Status", label=COLOURS)  # type: ignore[untyped-decorator]  # unfold is not typed
    def shown_status(self, sync: SyncLog) -> str:
        return sync.status

    @admin.display(description="Repositories")
    def through(self, sync: Any) -> str:
        return f"{sync.ended:,} of {sync.count:,}"


def drift_words(drift: Any) -> str:
    """Such as: issues: 2 missing, 1 stale; empty where nothing was off."""
    counts = ((name, getattr(drift, name)) for name in ("missing", "stale", "deleted"))
    counted = ", ".join(f"{count:,} {name}" for name, count in counts if count)
    return f"{drift.stream}: {counted}" if counted else ""


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

"""Backfills for operators: look, find, pause, resume, cancel, retry, and start some."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import action, display

from apps.activity.admin.reading import ReadOnlyAdmin
from apps.integrations.admin.start_backfill import start_page
from apps.integrations.models import Backfill
from apps.integrations.models.backfills import BackfillQuerySet
from apps.jobs.changes import CHANGES, Change, JobsBusyError
from apps.jobs.status import percent_of, status_of, waits_until_of
from apps.metrics.figures.formatting import NO_VALUE, duration

BAR = "unfold/components/progress.html"
COLOURS = {
    "waiting": "info",
    "running": "info",
    "paused": "warning",
    "done": "success",
    "failed": "danger",
}


@admin.register(Backfill)
class BackfillAdmin(ReadOnlyAdmin):
    """The walks through history, stream by stream."""

    list_display = ("what", "shown_state", "progress", "why", "waits_until", "points", "created_at")
    list_select_related = ("repository",)
    list_filter = ("state", "stream", "reason")
    search_fields = ("repository__full_name__istartswith",)
    search_ids = ("repository", "installation")
    search_help_text = "The beginning of a repository's name, its id, or an installation's"
    actions = ("pause_selected", "resume_selected", "cancel_selected", "retry_selected")
    actions_list = ("start",)
    ordering = ("-id",)

    @admin.display(description="Stream")
    def what(self, row: Backfill) -> str:
        return f"{row.stream} of {row.repository}"

    @display(description="State", label=COLOURS)  # type: ignore[untyped-decorator]  # unfold is not typed
    def shown_state(self, row: Backfill) -> str:
        return row.state

    @admin.display(description="Read")
    def progress(self, row: Backfill) -> str | SafeString:
        """How many of how many, and a bar."""
        is_bounded = row.total is not None and row.state != Backfill.State.DONE
        count = f"{row.items:,} of {row.total:,}" if is_bounded else f"{row.items:,}"
        percent = percent_of(row)
        if percent is None:
            return count
        bar = render_to_string(BAR, {"value": percent})
        return format_html('<div style="min-width: 9rem">{}% ({}){}</div>', percent, count, bar)

    @admin.display(description="Why")
    def why(self, row: Backfill) -> str:
        return status_of(row, now=timezone.now()).why

    @admin.display(description="Waits until")
    def waits_until(self, row: Backfill) -> Any:
        return waits_until_of(row, now=timezone.now())

    def has_look_after_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("integrations.change_backfill")

    @admin.action(description="Pause", permissions=["look_after"])
    def pause_selected(self, request: HttpRequest, queryset: BackfillQuerySet) -> None:
        self._change(request, queryset, change=CHANGES["pause"])

    @admin.action(description="Resume", permissions=["look_after"])
    def resume_selected(self, request: HttpRequest, queryset: BackfillQuerySet) -> None:
        self._change(request, queryset, change=CHANGES["resume"])

    @admin.action(description="Cancel: what was read stays", permissions=["look_after"])
    def cancel_selected(self, request: HttpRequest, queryset: BackfillQuerySet) -> None:
        self._change(request, queryset, change=CHANGES["cancel"])

    @admin.action(description="Retry: go on where it failed", permissions=["look_after"])
    def retry_selected(self, request: HttpRequest, queryset: BackfillQuerySet) -> None:
        self._change(request, queryset, change=CHANGES["retry"])

    def _change(self, request: HttpRequest, queryset: BackfillQuerySet, *, change: Change) -> None:
        ids = list(queryset.values_list("pk", flat=True))
        try:
            changed = change.apply(Backfill.objects.filter(pk__in=ids))
        except JobsBusyError as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        self.message_user(request, f"{changed} of {len(ids)} backfills {change.done}.", messages.SUCCESS)
        if changed < len(ids):
            self.message_user(request, f"The others are in no state to be {change.done}.", messages.WARNING)

    def has_start_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("integrations.add_backfill")

    @action(description="Start…", url_path="start", permissions=["start"], icon="play_arrow")  # type: ignore[untyped-decorator]
    def start(self, request: HttpRequest) -> HttpResponse:
        return start_page(request, page=self)

    def get_fields(self, request: HttpRequest, obj: Backfill | None = None) -> list[str]:
        columns = [field.name for field in Backfill._meta.concrete_fields if field.name != "skipped"]
        return ["progress", "status", *columns, "left_out"]

    def get_readonly_fields(self, request: HttpRequest, obj: Backfill | None = None) -> list[str]:
        return self.get_fields(request, obj)

    @admin.display(description="How it stands")
    def status(self, row: Backfill) -> SafeString:
        return format_html_join(SafeString("<br>"), "{}", ((line,) for line in status_lines(row)))

    @admin.display(description="Left out")
    def left_out(self, row: Backfill) -> str | SafeString:
        lines = ((skipped["what"], skipped["why"]) for skipped in row.skipped)
        return format_html_join(SafeString("<br>"), "{}: {}", lines) or NO_VALUE


def status_lines(row: Backfill) -> list[str]:
    """What is to be said of how it stands; a dash where that is nothing."""
    status = status_of(row, now=timezone.now())
    left = "" if status.eta_s is None else f"About {duration(status.eta_s)} left."
    return [line for line in (status.why, status.advice, left) if line] or [NO_VALUE]

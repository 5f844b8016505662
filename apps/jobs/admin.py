"""Jobs for operators: what runs, what waits for what and until when, what failed and what to do."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timeuntil
from unfold.decorators import display

from apps.activity.models import Repository
from apps.common.admin import ReadOnlyAdmin
from apps.common.db import is_id
from apps.jobs.changes import CHANGES, JobsBusyError
from apps.jobs.models import Job
from apps.jobs.registry import kinds
from apps.jobs.status import ids_of_jobs_of, percent_of, status_of, title_of, waits_until_of, with_subjects

BAR = "unfold/components/progress.html"
COLOURS = {
    "waiting": "info",
    "running": "info",
    "paused": "warning",
    "done": "success",
    "failed": "danger",
}
FACTS = ("installation", "error", "left_out", "calls", "points")
TIMES = ("created_at", "started_at", "advanced_at", "finished_at")
SHOWN_OTHERWISE = ("id", "state", "skipped", *FACTS, *TIMES)


def _action(name: str) -> Callable[..., None]:
    change = CHANGES[name]

    @admin.action(description=f"{name.capitalize()}: {change.effect}".rstrip("."), permissions=["look_after"])
    def change_selected(page: ReadOnlyAdmin, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        ids, noun = list(queryset.values_list("pk", flat=True)), page.opts.verbose_name_plural
        try:
            changed = change.apply(Job.objects.filter(pk__in=ids))
        except JobsBusyError as error:
            page.message_user(request, str(error), messages.ERROR)
            return
        page.message_user(request, f"{changed} of {len(ids)} {noun} {change.done}.", messages.SUCCESS)
        if changed < len(ids):
            page.message_user(request, f"The others are in no state to be {change.done}.", messages.WARNING)

    change_selected.__name__ = f"{name}_selected"
    return change_selected


class JobRowsAdmin(ReadOnlyAdmin):
    """Jobs of any kind: their state in words, and the changes that people make."""

    list_display = ("title", "shown_state", "progress", "why", "waits_until", "points", "created_at")
    actions: ClassVar[Any] = tuple(_action(name) for name in CHANGES)
    ordering = ("-id",)

    def has_look_after_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}")

    @admin.display(description="Job")
    def title(self, row: Any) -> str:
        return title_of(row)

    @display(description="State", label=COLOURS)  # type: ignore[untyped-decorator]  # unfold is not typed
    def shown_state(self, row: Job) -> str:
        return row.state

    @admin.display(description="Read")
    def progress(self, row: Job) -> str | SafeString:
        """Return how many of how many, and a bar."""
        is_bounded = row.total is not None and row.state != Job.State.DONE
        count = f"{row.items:,} of {row.total:,}" if is_bounded else f"{row.items:,}"
        percent = percent_of(row)
        if percent is None:
            return count
        bar = render_to_string(BAR, {"value": percent})
        return format_html('<div style="min-width: 9rem">{}% ({}){}</div>', percent, count, bar)

    @admin.display(description="Why")
    def why(self, row: Job) -> str:
        return status_of(row, now=timezone.now()).why

    @admin.display(description="Waits until")
    def waits_until(self, row: Job) -> Any:
        return waits_until_of(row, now=timezone.now())

    @admin.display(description="What to know")
    def status(self, row: Job) -> SafeString:
        """Return what it waits for or why it failed, what to do, and how long it takes."""
        now = timezone.now()
        status = status_of(row, now=now)
        left = "" if status.eta_s is None else f"About {timeuntil(now + timedelta(seconds=status.eta_s), now)} left."
        lines = [line for line in (status.why, status.advice, left) if line]
        return format_html_join(SafeString("<br>"), "{}", ((line,) for line in lines))

    @admin.display(description="Left out")
    def left_out(self, row: Job) -> SafeString:
        lines = ((skipped["what"], skipped["why"]) for skipped in row.skipped)
        return format_html_join(SafeString("<br>"), "{}: {}", lines)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[tuple[str | None, Any]]:
        columns = [field.name for field in self.opts.concrete_fields if field.name not in SHOWN_OTHERWISE]
        shared = {field.name for field in Job._meta.concrete_fields}
        particular = [name for name in columns if name not in shared and name != "job_ptr"]
        internals = [name for name in columns if name in shared]
        shown = ["shown_state", "progress", "status", *particular, *FACTS, *TIMES]
        return [(None, {"fields": shown}), ("Internals", {"classes": ("collapse",), "fields": internals})]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [name for _, group in self.get_fieldsets(request, obj) for name in group["fields"]]


@admin.register(Job)
class JobAdmin(JobRowsAdmin):
    """All durable work but deliveries and runs of reconciliation."""

    list_filter = ("state", "kind", "reason")
    search_fields = ("key",)
    search_ids = ("id", "installation")
    search_help_text = "The beginning of a repository's name, the key of a job, its id, or an installation's"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return with_subjects(super().get_queryset(request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term or is_id(term):
            return super().get_search_results(request, queryset, search_term)
        if term[0].isdigit():
            return queryset.filter(Q(kind__in=[kind.name for kind in kinds()], key=term)), False
        return queryset.filter(pk__in=ids_of_jobs_of(Repository.objects.filter(full_name__istartswith=term))), False

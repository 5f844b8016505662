"""Status checks and task results in the admin."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django_celery_results.models import GroupResult, TaskResult
from unfold.decorators import display

from apps.common.admin import ReadOnlyAdmin
from apps.monitoring.models import StatusCheck

OK, PROBLEMS = "ok", "problems found"

for model in (TaskResult, GroupResult):
    admin.site.unregister(model)


@admin.register(StatusCheck)
class StatusCheckAdmin(ReadOnlyAdmin):
    """The status checks of the last days."""

    list_display = ("checked_at", "result", "findings")
    ordering = ("-id",)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the checks, or say when the first one is due."""
        if not StatusCheck.objects.exists():
            messages.info(request, "The status is checked every 15 minutes. The first result will appear here.")
        response: HttpResponse = super().changelist_view(request, extra_context)
        return response

    @display(description="Result", label={OK: "success", PROBLEMS: "danger"})  # type: ignore[untyped-decorator]
    def result(self, row: StatusCheck) -> str:
        return PROBLEMS if row.problems else OK

    @admin.display(description="Problems")
    def findings(self, row: StatusCheck) -> str:
        return format_html_join(mark_safe("<br>"), "{}", ((words,) for words in row.explanations.values()))


@admin.register(TaskResult)
class TaskResultAdmin(ReadOnlyAdmin):
    """The results of the few tasks that store theirs."""

    list_display = ("task_name", "status", "date_done", "task_id")
    list_filter = ("status",)
    search_fields = ("task_id", "task_name__icontains")
    ordering = ("-id",)

"""What the watch found, in the admin."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django_celery_results.models import GroupResult, TaskResult
from unfold.decorators import display

from apps.activity.admin.reading import ReadOnlyAdmin
from apps.monitoring.models import StatusCheck

WELL, NOT_WELL = "all is well", "look into it"

for model in (TaskResult, GroupResult):
    admin.site.unregister(model)


@admin.register(StatusCheck)
class StatusCheckAdmin(ReadOnlyAdmin):
    """The last days' looks at the instance."""

    list_display = ("checked_at", "verdict", "findings")
    ordering = ("-id",)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the checks, or say when the first one is due."""
        if not StatusCheck.objects.exists():
            messages.info(request, "Beat checks this instance every 15 minutes; the first result will be here by then.")
        response: HttpResponse = super().changelist_view(request, extra_context)
        return response

    @display(description="Verdict", label={WELL: "success", NOT_WELL: "danger"})  # type: ignore[untyped-decorator]
    def verdict(self, look: StatusCheck) -> str:
        return NOT_WELL if look.problems else WELL

    @admin.display(description="What is wrong")
    def findings(self, look: StatusCheck) -> str:
        return format_html_join(mark_safe("<br>"), "{}", ((words,) for words in look.explanations.values()))


@admin.register(TaskResult)
class TaskResultAdmin(ReadOnlyAdmin):
    """The results of the few tasks that keep theirs."""

    list_display = ("task_name", "status", "date_done", "task_id")
    list_filter = ("status",)
    search_fields = ("task_id", "task_name__icontains")
    ordering = ("-id",)

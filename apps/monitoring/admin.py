"""What the watch found, in the admin."""

from typing import Any

from django.contrib import admin
from django_celery_results.models import GroupResult, TaskResult

from apps.activity.admin.reading import ReadOnlyAdmin
from apps.monitoring.models import StatusCheck

for model in (TaskResult, GroupResult):
    admin.site.unregister(model)


@admin.register(StatusCheck)
class StatusCheckAdmin(ReadOnlyAdmin):
    """The last days' looks at the instance."""

    list_display = ("checked_at", "findings")
    ordering = ("-id",)

    @admin.display(description="Found")
    def findings(self, look: Any) -> str:
        return str(look)


@admin.register(TaskResult)
class TaskResultAdmin(ReadOnlyAdmin):
    """The results of the few tasks that keep theirs."""

    list_display = ("task_name", "status", "date_done", "task_id")
    list_filter = ("status",)
    search_fields = ("task_id", "task_name__icontains")
    ordering = ("-id",)

"""What the watch found, in the admin."""

from typing import Any

from django.contrib import admin

from apps.activity.admin.reading import ReadOnlyAdmin
from apps.monitoring.models import StatusCheck


@admin.register(StatusCheck)
class StatusCheckAdmin(ReadOnlyAdmin):
    """The last days' looks at the instance."""

    list_display = ("checked_at", "findings")
    list_filter = (("problems", admin.EmptyFieldListFilter),)
    ordering = ("-id",)

    @admin.display(description="Found")
    def findings(self, look: Any) -> str:
        return str(look)

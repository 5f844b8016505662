"""The scan of GitHub's delivery log for operators, and what was missing in the inbox."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from apps.common.admin import ReadOnlyAdmin
from apps.integrations.delivery_log.scan_job import why
from apps.integrations.models import DeliveryLogScan, MissedDelivery
from apps.metrics.figures.formatting import NO_VALUE
from apps.webhooks import replay

COLOURS = {"waiting": "info", "asked": "info", "kept": "success", "given_up": "danger"}


@admin.register(DeliveryLogScan)
class DeliveryLogScanAdmin(ReadOnlyAdmin):
    """The scan of the log of the App's deliveries."""

    list_display = ("__str__", "mark", "read_at", "why", "not_before", "truncated_at")
    search_ids = ("app_id", "hook_id")
    search_help_text = "The id of an App, or of its hook"

    @admin.display(description="Waits for")
    def why(self, row: DeliveryLogScan) -> str:
        return why(row) or NO_VALUE


@admin.register(MissedDelivery)
class MissedDeliveryAdmin(ReadOnlyAdmin):
    """Deliveries that were in GitHub's log and not in the inbox."""

    list_display = (
        "guid",
        "event",
        "action",
        "repository_id",
        "delivered_at",
        "shown_state",
        "recovery_source",
        "reason",
    )
    list_filter = ("state", "recovery_source", "has_effect", "event")
    search_fields = ("event",)
    search_ids = ("repository_id", "installation_id", "log_id")
    search_help_text = (
        "GUID, HOOK:GUID, event; or the id of a repository, an installation or an attempt in GitHub's log"
    )

    @display(description="State", label=COLOURS)  # type: ignore[untyped-decorator]  # unfold is not typed
    def shown_state(self, row: MissedDelivery) -> str:
        return row.state

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        condition = replay.key_condition(search_term.strip())
        if condition is not None:
            return queryset.filter(condition), False
        return super().get_search_results(request, queryset, search_term)

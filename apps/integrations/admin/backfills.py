"""Backfills for operators: look, find, pause, resume, cancel, retry, and start some."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action

from apps.integrations.admin.start_backfill import start_page
from apps.integrations.models import Backfill
from apps.jobs.admin import JobRowsAdmin


@admin.register(Backfill)
class BackfillAdmin(JobRowsAdmin):
    """The jobs that read history, stream by stream."""

    list_select_related = ("repository",)
    list_filter = ("state", "stream", "reason")
    search_fields = ("repository__full_name__istartswith",)
    search_ids = ("repository", "installation")
    search_help_text = "The beginning of a repository's name, its id, or an installation's"
    actions_list = ("start",)

    @admin.display(description="Stream")
    def title(self, row: Backfill) -> str:
        return f"{row.stream} of {row.repository}"

    def has_start_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("integrations.add_backfill")

    @action(description="Start…", url_path="start", permissions=["start"], icon="play_arrow")  # type: ignore[untyped-decorator]
    def start(self, request: HttpRequest) -> HttpResponse:
        return start_page(request, page=self)

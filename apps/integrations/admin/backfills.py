"""Backfills for operators: find, pause, resume, cancel and retry them; the page of jobs starts some."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from unfold.decorators import action

from apps.activity.admin import InstallationAdmin
from apps.activity.models import Installation, Repository
from apps.github.credentials import has_credentials
from apps.integrations.models import Backfill
from apps.integrations.reconciliation.schedule import database_time, enqueue_run, schedule_team, start_for_team
from apps.jobs.admin import JobRowsAdmin
from apps.metrics.admin import CompleteRepositoryAdmin, CompleteTeamAdmin
from apps.teams.models import Team
from apps.users.access import is_operator

for model in (Repository, Installation, Team):
    admin.site.unregister(model)


class HasHistory:
    """What leads to the page that starts backfills, which has it chosen there."""

    def has_history_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return is_operator(request.user)

    @action(description="Backfill…", url_path="backfill", permissions=["history"], icon="cloud_download")  # type: ignore[untyped-decorator]
    def read_its_history(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect(f"{reverse('start-history')}?{urlencode(self.chosen(object_id))}")

    def chosen(self, object_id: str) -> dict[str, str]:
        """Return the parameters by which it is chosen."""
        raise NotImplementedError


@admin.register(Repository)
class RepositoryWithHistoryAdmin(HasHistory, CompleteRepositoryAdmin):
    """Repositories, whose history can be read."""

    actions_detail = ("read_its_history",)

    def chosen(self, object_id: str) -> dict[str, str]:
        return {"repository": object_id}


@admin.register(Installation)
class InstallationWithHistoryAdmin(HasHistory, InstallationAdmin):
    """Installations, whose repositories' history can be read."""

    actions_detail = ("read_its_history",)

    def chosen(self, object_id: str) -> dict[str, str]:
        return {"scope": f"installation:{object_id}"}


@admin.register(Team)
class TeamWithHistoryAdmin(HasHistory, CompleteTeamAdmin):
    """Teams, whose repositories' history can be read, and which can be compared with GitHub."""

    actions = ("reconcile_now",)
    actions_detail = ("read_its_history",)

    def chosen(self, object_id: str) -> dict[str, str]:
        return {"scope": f"team:{Team.objects.get(pk=object_id).slug}"}

    def has_reconciliation_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("integrations.add_synclog")

    def save_model(self, request: HttpRequest, obj: Team, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if "sync_frequency" in form.changed_data:
            schedule_team(obj.pk, now=database_time())

    @admin.action(description="Reconcile now", permissions=["reconciliation"])
    def reconcile_now(self, request: HttpRequest, queryset: QuerySet[Team]) -> None:
        if not has_credentials():
            words = "GitHub cannot be asked: set GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY_FILE first."
            messages.error(request, words)
            return
        approved = queryset.filter(is_approved=True).order_by("pk").values_list("pk", flat=True)
        started = [start_for_team(team_id) for team_id in approved]
        for one in started:
            enqueue_run(one.sync)
        new = sum(one.is_new for one in started)
        messages.success(request, f"{new} of {queryset.count()} teams are compared with GitHub now.")
        if new < queryset.count():
            messages.info(request, "The others are being compared already, or wait for approval.")


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
        return is_operator(request.user)

    @action(description="Start…", url_path="start", permissions=["start"], icon="play_arrow")  # type: ignore[untyped-decorator]
    def start(self, request: HttpRequest) -> HttpResponse:
        return redirect("start-history")

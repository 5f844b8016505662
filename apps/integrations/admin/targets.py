"""Repositories, installations and teams get an action that leads to the page which starts backfills of them.

They are registered by apps that know nothing of history: here they are registered again, with the action.
"""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.decorators import action

from apps.activity.admin.accounts import InstallationAdmin
from apps.activity.models import Installation, Repository
from apps.github.credentials import has_credentials
from apps.integrations.admin.forms import MOST_CHOSEN
from apps.integrations.reconciliation.schedule import database_time, ring_for_run, schedule_team, start_for_team
from apps.metrics.admin import CompleteRepositoryAdmin, CompleteTeamAdmin
from apps.teams.models import Team

for model in (Repository, Installation, Team):
    admin.site.unregister(model)


class HasHistory:
    """What can be chosen on the page that starts backfills, under the name of `target`."""

    target: ClassVar[str]

    def has_history_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("integrations.add_backfill")

    @admin.action(description="Backfill…", permissions=["history"])
    def read_history(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        ids = [str(pk) for pk in queryset.order_by().values_list("pk", flat=True)[: MOST_CHOSEN + 1]]
        if len(ids) <= MOST_CHOSEN:
            return self._lead_to_start(",".join(ids))
        words = f"Choose at most {MOST_CHOSEN}, or an installation, a team or everything on the page of backfills."
        messages.error(request, words)
        return None

    @action(description="Backfill…", url_path="backfill", permissions=["history"], icon="cloud_download")  # type: ignore[untyped-decorator]
    def read_its_history(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._lead_to_start(object_id)

    def _lead_to_start(self, ids: str) -> HttpResponseRedirect:
        return HttpResponseRedirect(f"{reverse('admin:integrations_backfill_start')}?{self.target}={ids}")


@admin.register(Repository)
class RepositoryWithHistoryAdmin(HasHistory, CompleteRepositoryAdmin):
    """Repositories, whose history can be read."""

    target = "repositories"
    actions = ("read_history",)
    actions_detail = ("read_its_history",)


@admin.register(Installation)
class InstallationWithHistoryAdmin(HasHistory, InstallationAdmin):
    """Installations, whose repositories' history can be read."""

    target = "installations"
    actions = ("read_history",)
    actions_detail = ("read_its_history",)


@admin.register(Team)
class TeamWithHistoryAdmin(HasHistory, CompleteTeamAdmin):
    """Teams, whose repositories' history can be read, and which can be compared with GitHub."""

    target = "teams"
    actions = ("read_history", "reconcile_now")
    actions_detail = ("read_its_history",)

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
            ring_for_run(one.sync)
        new = sum(one.is_new for one in started)
        messages.success(request, f"{new} of {queryset.count()} teams are compared with GitHub now.")
        if new < queryset.count():
            messages.info(request, "The others are being compared already, or wait for approval.")

"""Backfills for operators: find, pause, resume, cancel and retry them, and the page that starts some."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.widgets import AutocompleteSelectMultiple
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import action
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from apps.activity.admin import InstallationAdmin
from apps.activity.models import Installation, Repository
from apps.common.db import is_id
from apps.github.credentials import has_credentials
from apps.integrations.backfill.console import forecast_lines
from apps.integrations.backfill.requests import StartResult, forecast_asked, start_asked
from apps.integrations.backfill.start import MOST_NAMED, NothingToStartError, Scope, chosen
from apps.integrations.models import Backfill
from apps.integrations.reconciliation.schedule import database_time, enqueue_run, schedule_team, start_for_team
from apps.integrations.streams import STREAM_CHOICES, STREAM_NAMES
from apps.jobs.admin import JobRowsAdmin
from apps.metrics.admin import CompleteRepositoryAdmin, CompleteTeamAdmin
from apps.teams.models import Team, TeamRepository

EARLIEST = date(1970, 1, 1)
MOST_CHOSEN = 300
"""So many fit into an address, and into what a request may carry."""


def completing(model: Any, field: str) -> AutocompleteSelectMultiple:
    """Return a field for several choices that completes what is typed, as in the admin of the field's model."""
    return AutocompleteSelectMultiple(model._meta.get_field(field), admin.site)


class DayField(forms.DateField):
    """A day; the browser brings the calendar."""

    widget = UnfoldAdminTextInputWidget(attrs={"type": "date"})

    def clean(self, value: Any) -> datetime | None:
        """Its first moment, UTC."""
        day = super().clean(value)
        if day is None:
            return None
        if day < EARLIEST:
            raise forms.ValidationError("Give a day from 1970 on.")
        return datetime.combine(day, time(), tzinfo=UTC)


class BackfillForm(forms.Form):
    """Which repositories, and what of each. When it is valid it has `chosen` and `scope`."""

    repositories = forms.ModelMultipleChoiceField(
        Repository.objects.filter(deleted_at__isnull=True),
        required=False,
        widget=completing(Backfill, "repository"),
    )
    installations = forms.ModelMultipleChoiceField(
        Installation.objects.all(),
        required=False,
        widget=completing(Backfill, "installation"),
        help_text="All repositories that they reach.",
    )
    teams = forms.ModelMultipleChoiceField(
        Team.objects.all(),
        required=False,
        widget=completing(TeamRepository, "team"),
        help_text="All repositories that they track.",
    )
    everything = forms.BooleanField(
        required=False, widget=UnfoldBooleanWidget, label="Everything that any installation reaches"
    )
    since = DayField(required=False, help_text="Only what was updated since that day (UTC); empty for all of it.")
    until = DayField(required=False, help_text="Nothing that was created from that day on (UTC).")
    streams = forms.MultipleChoiceField(
        choices=STREAM_CHOICES,
        initial=STREAM_NAMES,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )

    chosen: QuerySet[Repository]
    scope: Scope

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if self.errors:
            return data
        try:
            self.chosen = chosen_in(data)
            self.scope = Scope(since=data["since"], until=data["until"], streams=tuple(data["streams"]))
        except NothingToStartError as error:
            raise forms.ValidationError(str(error)) from error
        if self.scope.since and self.scope.since > timezone.now():
            raise forms.ValidationError({"since": "Nothing was updated since a day to come."})
        return data


def chosen_in(data: dict[str, Any]) -> QuerySet[Repository]:
    """Return the repositories of all the choices; NothingToStartError without any, or if a choice has none."""
    parts = [
        *([data["repositories"]] if data["repositories"] else []),
        *(chosen(installation_id=installation.pk) for installation in data["installations"]),
        *(chosen(team=team) for team in data["teams"]),
        *([chosen(everything=True)] if data["everything"] else []),
    ]
    if not parts:
        raise NothingToStartError("Choose repositories, installations, teams, or everything.")
    is_chosen = Q()
    for part in parts:
        is_chosen |= Q(pk__in=part.order_by().values("pk"))
    return Repository.objects.filter(is_chosen)


TARGETS = ("repositories", "installations", "teams")
TEMPLATE = "admin/integrations/backfill/start.html"
CHANGELIST = "admin:integrations_backfill_changelist"


def start_page(request: HttpRequest, *, page: Any) -> HttpResponse:
    """Return the page with the form; GitHub is asked for a forecast first, unless the user starts at once."""
    if request.method != "POST":
        return _show(request, page=page, form=BackfillForm(initial=initial_in(request)))
    form = BackfillForm(request.POST)
    if not form.is_valid():
        return _show(request, page=page, form=form)
    try:
        if "start" in request.POST:
            show_started(request, start_asked(form.chosen, scope=form.scope))
            return redirect(CHANGELIST)
        forecast = forecast_asked(form.chosen, scope=form.scope)
    except NothingToStartError as error:
        form.add_error(None, str(error))
        return _show(request, page=page, form=form)
    return _show(request, page=page, form=form, forecast=forecast, lines=forecast_lines(forecast))


def initial_in(request: HttpRequest) -> dict[str, Any]:
    """Return what the address names, and the time since which history is read automatically: more would begin again."""
    named = {name: request.GET.get(name, "").split(",")[:MOST_CHOSEN] for name in TARGETS}
    ids = {name: [int(text) for text in texts if is_id(text)] for name, texts in named.items()}
    return {**ids, "since": timezone.now().date() - timedelta(days=settings.BACKFILL_DAYS - 1)}


def show_started(request: HttpRequest, started: StartResult) -> None:
    """Say what was started."""
    messages.success(request, f"{started.new} backfills started; {started.count - started.new} were already running.")
    if started.paused:
        messages.warning(request, f"Paused until someone resumes them: {started.paused}.")
    if started.unreachable:
        names = ", ".join(str(repository) for repository in started.unreachable[:MOST_NAMED])
        more = f" and {len(started.unreachable) - MOST_NAMED} more" if len(started.unreachable) > MOST_NAMED else ""
        messages.warning(request, f"No installation of the App reaches {names}{more}.")


def _show(request: HttpRequest, *, page: Any, form: BackfillForm, **more: Any) -> TemplateResponse:
    context = {
        **page.admin_site.each_context(request),
        "title": "Start backfills",
        "opts": Backfill._meta,
        "model_admin": page,
        "form": form,
        "media": page.media + form.media,
        **more,
    }
    request.current_app = page.admin_site.name
    return TemplateResponse(request, TEMPLATE, context)


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
        return request.user.has_perm("integrations.add_backfill")

    @action(description="Start…", url_path="start", permissions=["start"], icon="play_arrow")  # type: ignore[untyped-decorator]
    def start(self, request: HttpRequest) -> HttpResponse:
        return start_page(request, page=self)

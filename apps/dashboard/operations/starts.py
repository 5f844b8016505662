"""The form that has history loaded: which repositories, how much of each, what it would take, and its start."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods
from rest_framework.exceptions import APIException

from apps.activity.models import Installation, Repository
from apps.integrations.api.backfill_start_serializers import StartSerializer
from apps.integrations.api.filters import chosen_by
from apps.integrations.backfill.console import forecast_lines
from apps.integrations.backfill.requests import StartResult, forecast_asked, start_asked
from apps.integrations.backfill.start import NothingToStartError
from apps.integrations.readable_installations import readable_installations
from apps.integrations.streams import STREAM_NAMES
from apps.jobs.changes import JobsBusyError
from apps.teams.models import Team
from apps.users.access import is_operator

TEMPLATE = "dashboard/operations/start.html"
MOST_OFFERED = 200


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def start_history(request: HttpRequest) -> HttpResponse:
    """Show the form; ask GitHub for a forecast, or start, once it is sent."""
    if not (is_operator(request.user) or Team.objects.administered_by(request.user).exists()):
        raise PermissionDenied
    if request.method != "POST":
        return show(request, sent=defaults(request))
    sent: dict[str, Any] = {name: request.POST.get(name, "") for name in ("repository", "scope", "since", "until")}
    sent["streams"] = [name for name in request.POST.getlist("streams") if name in STREAM_NAMES]
    asked = StartSerializer(data=as_document(sent))
    if not asked.is_valid():
        return show(request, sent=sent, problems=list(problems_of(asked.errors)), status=400)
    try:
        return act(request, sent=sent, **asked.validated_data)
    except APIException as error:
        return show(request, sent=sent, problems=[str(error.detail)], status=error.status_code)
    except (NothingToStartError, JobsBusyError) as error:
        return show(request, sent=sent, problems=[str(error)], status=409, may_start=True)


def act(request: HttpRequest, *, sent: dict[str, Any], choice: dict[str, Any], scope: Any, **_: Any) -> HttpResponse:
    """Start what was chosen, or say what that would take."""
    repositories = chosen_by(request.user, **choice)
    if "start" not in request.POST:
        forecast = forecast_asked(repositories, scope=scope)
        return show(request, sent=sent, forecast=forecast, lines=forecast_lines(forecast), may_start=True)
    say_started(request, start_asked(repositories, scope=scope))
    return redirect("jobs")


def show(request: HttpRequest, *, sent: dict[str, Any], status: int = 200, **context: Any) -> HttpResponse:
    streams = [(name, name in sent["streams"]) for name in STREAM_NAMES]
    return render(
        request,
        TEMPLATE,
        {"sent": sent, "streams": streams, **offered_to(request.user), **context},
        status=status,
    )


def defaults(request: HttpRequest) -> dict[str, Any]:
    """Return what the form begins with: the days that are loaded automatically, of what the address names."""
    since = timezone.now().date() - timedelta(days=settings.BACKFILL_DAYS - 1)
    named = {name: request.GET.get(name, "") for name in ("repository", "scope")}
    return {**named, "since": f"{since}", "until": "", "streams": list(STREAM_NAMES)}


def as_document(sent: dict[str, Any]) -> dict[str, Any]:
    """Return the form as the body that the API accepts; a day is its first moment, UTC."""
    kind, _, key = sent["scope"].partition(":")
    document: dict[str, Any] = {"streams": sent["streams"]}
    document |= {name: f"{sent[name]}T00:00:00Z" for name in ("since", "until") if sent[name]}
    if sent["repository"].strip():
        document["repository"] = sent["repository"].strip()
    if kind == "everything":
        document["everything"] = True
    elif kind in ("team", "installation"):
        document[kind] = key
    return document


def problems_of(errors: Any) -> Iterator[str]:
    """Yield the errors as sentences, with the name of the field where there is one."""
    for name, found in errors.items():
        prefix = "" if name == "non_field_errors" else f"{name.capitalize()}: "
        yield from (CHOOSE_ONE if "exactly one" in str(error) else f"{prefix}{error}" for error in found)


CHOOSE_ONE = "Choose one: a repository, a team, an installation or everything."


def offered_to(user: Any) -> dict[str, Any]:
    """Return the teams, installations and repositories that the user may choose."""
    is_free = is_operator(user)
    installations: QuerySet[Installation] = readable_installations().select_related("account").order_by("pk")
    teams = Team.objects.administered_by(user).order_by("name")
    repositories = Repository.objects.filter(deleted_at=None).order_by("full_name")
    return {
        "teams": teams[:MOST_OFFERED],
        "installations": installations[:MOST_OFFERED] if is_free else (),
        "repositories": repositories.values_list("full_name", flat=True)[:MOST_OFFERED] if is_free else (),
        "may_choose_everything": is_free,
    }


def say_started(request: HttpRequest, started: StartResult) -> None:
    """Add messages that say what was started."""
    running = started.count - started.new
    already = f"; {running} {'was' if running == 1 else 'were'} already running" if running else ""
    messages.success(request, f"{started.new} backfill{'' if started.new == 1 else 's'} started{already}.")
    if started.paused:
        messages.warning(request, f"{started.paused} of them are paused until someone resumes them.")

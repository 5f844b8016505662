"""The page of backfills and the form that changes them."""

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from apps.activity.models import Repository
from apps.common.db import is_id
from apps.dashboard.history import are_backfills_stuck, failing, histories_of, limits_of, repositories_with_history
from apps.integrations.backfill.requests import CountingBusyError, cancel_asked, pause_asked, resume_asked, retry_asked
from apps.integrations.models import Backfill
from apps.integrations.models.backfills import BackfillQuerySet
from apps.teams.models import Team
from apps.teams.visibility import repositories_administered_by, repositories_visible_to
from apps.users.permissions import is_operator

REPOSITORIES_PER_PAGE = 20
REFRESH_EVERY_S = 10
SHOWN: Mapping[str, Callable[[Any], QuerySet[Repository]]] = {
    "all": lambda repositories: repositories,
    "unfinished": lambda repositories: repositories.filter(is_unfinished=True),
    "failed": failing,
}
CHANGES: Mapping[str, tuple[Callable[[BackfillQuerySet], int], str]] = {
    "pause": (pause_asked, "paused"),
    "resume": (resume_asked, "resumed"),
    "cancel": (cancel_asked, "cancelled"),
    "retry": (retry_asked, "retried"),
}


@require_safe
@login_required
def backfills(request: HttpRequest) -> HttpResponse:
    """Show the backfills of the repositories that the user may see."""
    show = request.GET.get("show", "all")
    if show not in SHOWN:
        raise Http404(f"There is no list {show!r}.")
    mine = repositories_with_history(request.user)
    paginators = {name: Paginator(narrow(mine), REPOSITORIES_PER_PAGE) for name, narrow in SHOWN.items()}
    page = paginators[show].get_page(request.GET.get("page"))
    histories = histories_of(list(page), user=request.user)
    context = {
        "page": page,
        "histories": histories,
        "limits": limits_of(histories),
        "show": show,
        "switch": [(name, paginator.count) for name, paginator in paginators.items()],
        "is_refreshing": "watch" in request.GET,
        "kept": f"show={show}{'&watch=on' if 'watch' in request.GET else ''}",
        **about(request.user),
    }
    answer = render(request, "dashboard/backfills.html", context)
    if context["is_refreshing"]:
        answer["Refresh"] = str(REFRESH_EVERY_S)
    return answer


@require_POST
@login_required
def change(request: HttpRequest) -> HttpResponse:
    """Pause, resume, cancel or retry the backfills of a repository that the user administers."""
    named, verb = request.POST.get("repository", ""), request.POST.get("change", "")
    if verb not in CHANGES or not is_id(named):
        raise Http404("There is no such action.")
    repository = get_object_or_404(repositories_visible_to(request.user), pk=int(named))
    if not repositories_administered_by(request.user).filter(pk=repository.pk).exists():
        raise PermissionDenied
    try:
        apply_change(request, repository, verb=verb)
    except CountingBusyError as error:
        messages.error(request, str(error))
    return redirect(f"{reverse('backfills')}?{request.GET.urlencode()}")


def apply_change(request: HttpRequest, repository: Repository, *, verb: str) -> None:
    """Apply the change and add a message with the number of changed backfills."""
    change_all, done = CHANGES[verb]
    count = change_all(Backfill.objects.filter(repository=repository))
    words = f"{repository}: {count} backfill{'' if count == 1 else 's'} {done}."
    messages.add_message(request, messages.SUCCESS if count else messages.WARNING, words)


def about(user: Any) -> dict[str, Any]:
    """Return what the empty page offers the user, and whether an operator should look at the workers."""
    administered = Team.objects.administered_by(user).order_by("slug")
    return {
        "team": administered.first(),
        "has_team": Team.objects.visible_to(user).exists(),
        "are_stuck": is_operator(user) and are_backfills_stuck(),
    }

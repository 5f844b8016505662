"""The page Setup: its checklist, which updates by itself, and its forms."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.activity.models import Repository
from apps.dashboard.operations.access import for_operators
from apps.dashboard.operations.backfill_progress import History, histories_of, repositories_with_history
from apps.dashboard.setup.app_form import AppForm
from apps.github.registration import installation_url
from apps.github.secret_rotation import Rotation, latest_signatures, rotation
from apps.integrations.models import Backfill
from apps.monitoring.setup_checklist import Checklist, State, checklist

REPOSITORIES_SHOWN = 8
PARTS = {"steps": "steps.html", "webhook-secret": "secret.html"}
"""What htmx asks for again, by the id of the element."""


@require_safe
@never_cache
@for_operators
def setup(request: HttpRequest) -> HttpResponse:
    """Show what is set up, what is missing and what to do next. Only htmx, which asks again, waits for GitHub."""
    return render_setup(request)


def render_setup(request: HttpRequest, *, form: AppForm | None = None, status: int = 200, **more: Any) -> HttpResponse:
    """Return the page, with a form that was filled in or something that went wrong; for htmx, the part it asks for."""
    part = PARTS.get(request.headers.get("HX-Target", ""))
    latest = latest_signatures()
    state = checklist(latest, asks_github=part is not None)
    context = {
        "state": state,
        "count": (sum(step.state is State.DONE for step in state.steps), len(state.steps)),
        "installation_url": installation_url(state.registered.slug) if state.registered else "",
        "histories": loading_of(state),
        **more,
    }
    if part != PARTS["steps"]:
        context |= secret_context(rotation(latest))
    if part is None:
        context |= {"form": form or AppForm.suggested()}
    return render(request, f"dashboard/setup/{part or 'setup.html'}", context, status=status)


def loading_of(state: Checklist) -> Sequence[History]:
    """Return the repositories whose history is being loaded, or failed to, with their progress."""
    if state.history is None or not state.history.states:
        return []
    wanted = "" if state.history.is_unfinished else Backfill.State.FAILED
    found: Any = repositories_with_history(Repository.objects.all(), state=wanted)
    if not wanted:
        found = found.filter(is_unfinished=True)
    elif wanted not in state.history.states:
        return []
    return histories_of(found.values("pk")[:REPOSITORIES_SHOWN], administered=())


def secret_context(state: Rotation) -> dict[str, Any]:
    """Return what the section about the webhook secret shows."""
    return {"rotation": state, "of_environment": [each for each in state.accepted if each.is_of_environment]}

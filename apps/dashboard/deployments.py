"""The page of a deployment: the changes it shipped, its state, and what it repaired or broke."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from apps.dashboard.addresses import on_github
from apps.metrics.explanation.deployment import Outcome, explain_deployment
from apps.metrics.models import DerivedDeployment
from apps.teams.visibility import repositories_visible_to

OUTCOMES: Mapping[Outcome, tuple[str, str]] = {
    Outcome.SUCCEEDED: ("Succeeded", "done"),
    Outcome.FAILED: ("Failed", "failed"),
    Outcome.REPAIRED: ("Succeeded, needed repair", "failed"),
    Outcome.BROKE: ("Succeeded, caused an incident", "failed"),
    Outcome.UNFINISHED: ("Not finished", "paused"),
}
"""What is said of an outcome, and the look of its badge."""
KINDS: Mapping[str, str] = {
    "revert": "by a revert",
    "rollback": "by going back to an earlier commit",
    "hotfix": "by a hotfix",
    "incident": "by the last deployment before the incident ended",
}


@require_safe
@login_required
def deployment(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a deployment in a repository that the user may see."""
    repositories = repositories_visible_to(request.user).order_by().values("pk")
    known = DerivedDeployment.objects.filter(repository__in=repositories).select_related("repository")
    found = get_object_or_404(known, pk=pk)
    explanation = explain_deployment(found)
    words, look = OUTCOMES[explanation.outcome]
    repository = found.repository.full_name
    context: dict[str, Any] = {
        "deployment": found,
        "explanation": explanation,
        "outcome": words,
        "look": look,
        "repository_url": on_github(repository),
        "run_url": on_github(repository, f"actions/runs/{found.run_id}") if found.run_id else "",
        "repaired": [(each, KINDS.get(each.kind, "")) for each in explanation.repaired],
        "repairs": [(each, KINDS.get(each.kind, "")) for each in explanation.repairs],
    }
    return render(request, "dashboard/deployment.html", context)

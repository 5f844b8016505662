"""What counts as a deployment to production: chosen for a team, and previewed before it is saved."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apps.dashboard.operations.access import for_operators
from apps.metrics.figures import FIGURES
from apps.metrics.models import DerivedDeployment
from apps.metrics.preview_parameters import make_preview
from apps.metrics.rule_previews import Preview, PreviewRefusedError
from apps.teams.models import DeploymentSource, Team
from apps.teams.visibility import repositories_of

LONGEST_S = 2.5
"""A page's statement may take three seconds."""
WINDOW = "90d"
SHOWN = ("deployments", "deployment_frequency", "lead_time", "change_failure_rate", "failed_deployments")
ENVIRONMENTS, SOURCE = "environments", "source"
SOURCES = [
    (DeploymentSource.Kind.WORKFLOW_RUNS, "successful runs of a workflow whose name matches"),
    (DeploymentSource.Kind.RELEASES, "releases whose tag matches"),
    (DeploymentSource.Kind.MERGES, "merges into a branch whose name matches"),
]


class EnvironmentsForm(forms.Form):
    """The environments that count as production; none is the choice by GitHub's flag and by name."""

    environments = forms.CharField(required=False, max_length=2000)

    def names(self) -> list[str]:
        written = self.cleaned_data["environments"].replace("\n", ",").split(",")
        return list(dict.fromkeys(name.strip() for name in written if name.strip()))


class SourceForm(forms.Form):
    """What else counts as a deployment, for teams without deployments on GitHub."""

    kind = forms.ChoiceField(choices=SOURCES)
    pattern = forms.CharField(max_length=500)


@require_http_methods(["GET", "POST"])
@never_cache
@for_operators
def production(request: HttpRequest) -> HttpResponse:
    """Show what counts as production for a team; POST previews another choice, or saves it."""
    teams = list(Team.objects.order_by("name"))
    if not teams:
        messages.info(request, "There is no team yet: install the App first.")
        return redirect("setup")
    named = request.POST.get("team") or request.GET.get("team")
    team = get_object_or_404(Team, slug=named) if named else teams[0]
    context: dict[str, Any] = {
        "teams": teams,
        "team": team,
        "found": environments_of(team),
        "environments": EnvironmentsForm(initial={"environments": ", ".join(team.production_environments)}),
        "source": SourceForm(),
        "sources": DeploymentSource.objects.filter(account=team.account_id) if team.account_id else [],
    }
    if request.method == "POST" and (answer := take(request, team, context)) is not None:
        return answer
    return render(request, "dashboard/setup/production.html", context, status=400 if "problem" in context else 200)


def environments_of(team: Team) -> Sequence[Any]:
    """Return the environments that the team deploys to, the most frequent first."""
    mine = repositories_of(Team.objects.filter(pk=team.pk)).order_by().values("pk")
    rows = DerivedDeployment.objects.filter(repository__in=mine).exclude(environment="").order_by()
    return list(rows.values("environment", "is_production").annotate(n=Count("pk")).order_by("-n", "environment")[:50])


def take(request: HttpRequest, team: Team, context: dict[str, Any]) -> HttpResponse | None:
    """Save what was chosen and return the way on, or add its preview or its problem to the page."""
    is_source = request.POST.get("about") == SOURCE
    form: Any = SourceForm(request.POST) if is_source else EnvironmentsForm(request.POST)
    context[SOURCE if is_source else ENVIRONMENTS] = form
    if not form.is_valid():
        context["problem"] = "Choose what counts as a deployment, and give its name."
        return None
    try:
        if request.POST.get("step") == "save":
            save(form, team)
            messages.success(request, f"Saved for {team}. The figures are recomputed within a minute or so.")
            return redirect(f"{reverse('setup-production')}?team={team.slug}")
        context["preview"] = shown(preview_of(form, team))
    except ValidationError as error:
        context["problem"] = " ".join(error.messages)
    except PreviewRefusedError as error:
        context["problem"] = f"{error} You can save it without a preview."
    return None


def save(form: Any, team: Team) -> None:
    if isinstance(form, SourceForm):
        DeploymentSource.ensure(team, kind=form.cleaned_data["kind"], pattern=form.cleaned_data["pattern"])
    else:
        team.set_production(form.names())


def preview_of(form: Any, team: Team) -> Preview:
    asked: dict[str, Any] = {"kind": "production", "window": WINDOW}
    if isinstance(form, SourceForm):
        asked |= {
            "kind": "deployment_source",
            "source": form.cleaned_data["kind"],
            "pattern": form.cleaned_data["pattern"],
        }
    else:
        asked["environments"] = form.names()
    return make_preview(team, asked, seconds=LONGEST_S)


def shown(preview: Preview) -> dict[str, Any]:
    """Return the preview as the page shows it: what matches, and the figures of deployments."""
    figures = [
        {"title": FIGURES[one.before.figure].title, "before": one.before, "after": one.after}
        for one in preview.figures
        if one.before.figure in SHOWN
    ]
    return {"matches": preview.matches[:20], "matching": sum(n for _, n in preview.matches), "figures": figures}

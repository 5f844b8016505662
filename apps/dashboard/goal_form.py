"""The form on a card that sets or ends the goal of a figure."""

import re
from collections.abc import Mapping

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.exceptions import ValidationError as ModelError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from apps.metrics.figures import FIGURES, Figure
from apps.metrics.goals import TooManyGoalsError, end_goals, set_goal
from apps.metrics.query_parameters import may_see_people
from apps.teams.models import Team

SECONDS: Mapping[str, float] = {"d": 86400, "h": 3600, "m": 60, "s": 1}
NUMBER = re.compile(r"(\d+(?:[.,]\d+)?)\s*([a-z%]*)")


@require_POST
@login_required
def change_goal(request: HttpRequest, slug: str) -> HttpResponse:
    """Set the goal of a figure from this week on, or end it."""
    team = get_object_or_404(Team.objects.visible_to(request.user), slug=slug)
    if not may_see_people(request.user, team=team):
        raise PermissionDenied("Goals are set by leads and admins of the team.")
    figure = FIGURES.get(request.POST.get("figure", ""))
    if figure is None:
        raise Http404("There is no such figure.")
    if request.POST.get("end"):
        end_goals(team, figure=figure.key)
        messages.success(request, f"The goal for {figure.title} was removed.")
    else:
        _set(request, team, figure)
    return redirect(came_from(request, team))


def _set(request: HttpRequest, team: Team, figure: Figure) -> None:
    direction = request.POST.get("direction", "")
    try:
        target = target_in(request.POST.get("target", ""), unit=figure.unit)
        set_goal(team, figure=figure.key, direction=direction, target=target)
    except (ValueError, TooManyGoalsError) as error:
        messages.error(request, f"The goal for {figure.title} was not saved: {error}")
    except ModelError as error:
        messages.error(request, f"The goal for {figure.title} was not saved: {' '.join(error.messages)}")
    else:
        messages.success(request, f"The goal for {figure.title} is set, starting this week.")


def target_in(text: str, *, unit: str) -> float:
    """Return the target in the unit of the figure: 2 d and 36 h are seconds, 15 and 15 % a share of 0.15."""
    found = NUMBER.fullmatch(text.strip().lower())
    name = found.group(2) if found else ""
    number = float(found.group(1).replace(",", ".")) if found else 0.0
    match unit:
        case "seconds" if found and name in SECONDS:
            return number * SECONDS[name]
        case "seconds":
            raise ValueError(f"{text!r} is not a duration. Use days, hours or minutes, like 2 d, 36 h or 45 m.")
        case "share" if found and name in ("", "%") and number <= 100:  # noqa: PLR2004  percent
            return number / 100
        case "share":
            raise ValueError(f"{text!r} is not a percentage. Use a number from 0 to 100, like 15 %.")
        case _ if found and not name:
            return number
        case _:
            raise ValueError(f"{text!r} is not a number.")


def came_from(request: HttpRequest, team: Team) -> str:
    """Return the page of this site that the form was on."""
    where = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(where, allowed_hosts=None)
    return where if is_ours and where.startswith("/") else reverse("team", args=[team.slug])

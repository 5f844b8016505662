"""Celery tasks: each calls one function."""

from typing import Any

from celery import shared_task

from apps.metrics.figures import FigureQuery, Window
from apps.metrics.hourly_figures import keep_figures, thin_out
from apps.metrics.rebuild import mark_outdated
from apps.metrics.recalculation import drain
from apps.teams.models import Team

DRAIN_S = 20.0
"""The time limit of a drain; another message continues, so that a stopping worker never waits long."""
FIGURES_DAYS = 30
TEAMS_AT_ONCE = 100


@shared_task(ignore_result=True)
def recalculate_stale() -> None:
    """Recalculate what changed; enqueue itself again while there is more."""
    if not drain(seconds=DRAIN_S):
        recalculate_stale.delay()


@shared_task(ignore_result=True)
def update_metrics() -> None:
    """Recalculate rows of older rules, then compute and store the figures of every team."""
    mark_outdated()
    thin_out()
    if not drain(seconds=DRAIN_S):
        recalculate_stale.delay()
    process_all_teams()


@shared_task(ignore_result=False)
def calculate_metrics(team_id: int) -> dict[str, Any]:
    """Compute the team's figures of the last 30 days and store them for this hour; the result is kept for a day.

    Beside the document that the API shows: `total_commits`, and `total_prs`, the pull requests opened.
    """
    team = Team.objects.get(pk=team_id)
    document = keep_figures(FigureQuery(team=team, window=Window.last(FIGURES_DAYS, time_zone=team.time_zone)))
    values = {figure["figure"]: figure["value"] for figure in document["figures"]}
    return {**document, "total_commits": values["commits"], "total_prs": values["prs_opened"]}


@shared_task(ignore_result=True)
def process_all_teams(after: int = 0) -> None:
    """Enqueue a task for each of a hundred teams, then one for the next hundred."""
    batch = list(Team.objects.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:TEAMS_AT_ONCE])
    for team_id in batch:
        process_team.delay(team_id)
    if len(batch) == TEAMS_AT_ONCE:
        process_all_teams.delay(batch[-1])


@shared_task(ignore_result=True)
def process_team(team_id: int) -> None:
    """Enqueue the calculation of a team's figures."""
    calculate_metrics.delay(team_id)

"""Stored hourly figures are compared with what they are now, and with what came since."""

from datetime import UTC, datetime

import pytest

from apps.activity.models import Provenance
from apps.metrics.figures import FIGURES, FigureQuery, Window
from apps.metrics.hourly_figures import (
    KINDS,
    LATE_DATA,
    LATER_EVENTS,
    RestatedHour,
    Restatement,
    keep_figures,
    stored_hours,
)
from apps.metrics.models import HourlyFigures
from apps.teams.models import Team
from tests.metrics.steps import deployed, instant, record_steps

pytestmark = pytest.mark.django_db
LATE_DEPLOYMENT = deployed(108, statuses={"success": "03-04 08:00"}, sha="merge-4")


def keep(team: Team, at: datetime) -> HourlyFigures:
    keep_figures(FigureQuery(team=team, window=Window.last(30, time_zone=team.time_zone, now=at), as_of=at))
    return HourlyFigures.objects.get(team=team, computed_at=at)


def restated(kept: HourlyFigures) -> dict[str, Restatement]:
    team = Team.objects.get(pk=kept.team_id)
    base = FigureQuery(team=team, window=Window.last(30, time_zone=team.time_zone))
    return {one.figure.key: one for one in RestatedHour(kept, base).restatements}


def test_what_is_still_so_is_not_restated(worked_example: dict[str, Team]) -> None:
    assert restated(keep(worked_example["acme"], instant("03-07 12:00"))) == {}


def test_what_the_rest_of_the_day_brought_is_not_compared(worked_example: dict[str, Team]) -> None:
    assert restated(keep(worked_example["acme"], instant("03-05 12:30"))) == {}


def test_a_late_deployment_restates_what_was_shown_and_is_named(worked_example: dict[str, Team]) -> None:
    kept = keep(worked_example["acme"], instant("03-07 12:00"))
    mark = Provenance.objects.latest("pk").pk
    record_steps(LATE_DEPLOYMENT)
    late = set(Provenance.objects.filter(pk__gt=mark).values_list("source_key", flat=True))
    found = restated(kept)
    deployments, failures = found["deployments"], found["change_failure_rate"]
    assert (deployments.then.value, deployments.now.value, deployments.difference) == (5, 6, 1)
    assert (failures.then.value, failures.now.value) == (1 / 5, 1 / 6)
    assert {one.cause for one in found.values()} == {LATE_DATA}
    assert {source.key for source in deployments.sources} == late
    assert "commits" not in found
    assert "cycle_time" not in found


def test_what_happened_later_is_told_from_what_came_late(worked_example: dict[str, Team]) -> None:
    found = restated(keep(worked_example["acme"], instant("03-04 23:00")))
    reopened = found["closed_unmerged"]
    assert (reopened.then.value, reopened.now.value, reopened.as_of.value) == (1, 0, 1)
    assert {one.cause for one in found.values()} == {LATER_EVENTS}


def test_changed_rules_and_definitions_are_named(worked_example: dict[str, Team]) -> None:
    kept = keep(worked_example["acme"], instant("03-07 12:00"))
    base = FigureQuery(team=worked_example["acme"], window=Window.last(30, time_zone="UTC"))
    assert RestatedHour(kept, base).are_rules_changed is False
    kept.rules_version = 1
    kept.figures["prs_merged"] = {"value": 9, "n": 9, "version": 0}
    [merged] = RestatedHour(kept, base).restatements
    assert RestatedHour(kept, base).are_rules_changed is True
    assert (merged.version_then, merged.figure.version, merged.now.value) == (0, 1, 5)


def test_an_hour_without_its_window_is_compared_and_names_no_sources(worked_example: dict[str, Team]) -> None:
    kept = keep(worked_example["acme"], instant("03-07 12:00"))
    HourlyFigures.objects.update(start=None, time_zone="", last_source=None, rules_version=None)
    kept.refresh_from_db()
    record_steps(LATE_DEPLOYMENT)
    deployments = restated(kept)["deployments"]
    assert (deployments.now.value, deployments.sources, deployments.has_more_sources) == (6, [], False)


def test_a_team_that_moved_compares_the_window_of_then(worked_example: dict[str, Team]) -> None:
    kept = keep(worked_example["acme"], instant("03-07 12:00"))
    Team.objects.filter(pk=kept.team_id).update(time_zone="Pacific/Auckland")
    assert restated(kept) == {}


def test_of_each_day_the_last_hour_is_compared(teams: dict[str, Team]) -> None:
    for at in ("03-05 09:00", "03-05 17:00", "03-06 08:00"):
        keep(teams["acme"], instant(at))
    since = datetime(2026, 3, 1, tzinfo=UTC)
    days, hours = (stored_hours(teams["acme"], since=since, is_every_hour=each) for each in (False, True))
    assert [f"{one.hour:%d %H}" for one in days] == ["06 08", "05 17"]
    assert len(hours) == 3


def test_every_figure_says_what_its_value_can_follow_from() -> None:
    assert {figure.population.rows.table for figure in FIGURES.values()} <= KINDS.keys()

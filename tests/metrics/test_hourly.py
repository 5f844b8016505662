"""Figures are kept hour by hour, as they stood."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.metrics import tasks
from apps.metrics.hourly_figures import EVERY_HOUR_FOR
from apps.metrics.models import HourlyFigures
from apps.teams.models import Team
from apps.users.models import CustomUser

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def acme() -> Team:
    return Team.objects.create(name="Acme", slug="acme")


def test_the_figures_of_an_hour_are_kept_once_as_they_stood_last(acme: Team) -> None:
    tasks.calculate_metrics(acme.pk)
    HourlyFigures.objects.update(figures={})
    document = tasks.calculate_metrics(acme.pk)
    kept = HourlyFigures.objects.filter(team=acme).latest("hour")
    told = {
        figure["figure"]: {"value": figure["value"], "n": figure["n"], "version": figure["version"]}
        for figure in document["figures"]
    }
    assert kept.figures == told
    assert kept.hour == kept.computed_at.replace(minute=0, second=0, microsecond=0)


def test_the_result_has_the_totals_of_commits_and_pull_requests(
    worked_example: dict[str, Team], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "FIGURES_DAYS", 3000)
    document = tasks.calculate_metrics(worked_example["acme"].pk)
    values = {figure["figure"]: figure["value"] for figure in document["figures"]}
    assert (document["total_commits"], document["total_prs"]) == (values["commits"], values["prs_opened"])
    assert document["total_prs"] > 0


def keep(team: Team, *hours: datetime) -> None:
    HourlyFigures.objects.bulk_create(
        HourlyFigures(team=team, hour=hour, computed_at=hour, figures={"commits": {"value": 1, "n": 1}})
        for hour in hours
    )


def test_of_old_days_the_last_hour_stays_and_of_the_latest_every_hour(acme: Team) -> None:
    other = Team.objects.create(name="Other", slug="other")
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    old, fresh = midnight - EVERY_HOUR_FOR - 2 * DAY, midnight - EVERY_HOUR_FOR + 2 * DAY
    keep(acme, *(day + HOUR * hour for day in (old, fresh) for hour in (1, 5, 9)))
    keep(other, old + 2 * HOUR)
    tasks.update_metrics()
    left = set(HourlyFigures.objects.values_list("team", "hour"))
    assert left == {
        (acme.pk, old + 9 * HOUR),
        *((acme.pk, fresh + HOUR * hour) for hour in (1, 5, 9)),
        (other.pk, old + 2 * HOUR),
    }


def test_the_api_shows_them_hour_by_hour(acme: Team) -> None:
    client = APIClient()
    client.force_authenticate(CustomUser.objects.create_superuser("root"))
    noon = datetime(2026, 3, 2, 12, tzinfo=UTC)
    keep(acme, noon, noon + HOUR, noon + 2 * HOUR)

    def hours(**parameters: str) -> list[Any]:
        answer = client.get("/api/v1/teams/acme/hourly-figures/", parameters)
        assert answer.status_code == 200, answer.content
        return [row["hour"] for row in answer.json()["results"]]

    assert hours() == ["2026-03-02T14:00:00Z", "2026-03-02T13:00:00Z", "2026-03-02T12:00:00Z"]
    assert hours(hour_after="2026-03-02T13:00:00Z", hour_before="2026-03-02T14:00:00Z") == ["2026-03-02T13:00:00Z"]

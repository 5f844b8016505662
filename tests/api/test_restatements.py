"""Restatements over the API."""

import pytest

from apps.metrics.figures import FigureQuery, Window
from apps.metrics.hourly_figures import keep_figures
from apps.metrics.models import HourlyFigures
from tests.api.conftest import Cast
from tests.metrics.steps import instant

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/teams/{}/figures/restatements/"


def keep(cast: Cast, slug: str, at: str) -> None:
    window = Window.last(30, time_zone="UTC", now=instant(at))
    keep_figures(FigureQuery(team=cast.teams[slug], window=window, as_of=instant(at)))


def test_a_viewer_reads_what_is_no_longer_so(week: Cast) -> None:
    keep(week, "acme", "03-04 23:00")
    keep(week, "acme", "03-07 12:00")
    HourlyFigures.objects.filter(hour=instant("03-07 12:00")).update(figures={"prs_merged": {"value": 4, "n": 4}})
    client = week.client(week.viewer)
    document = client.get(ADDRESS.format("acme"), {"since": "2026-03-01"}).json()
    latest, earlier = document["results"]
    assert document["count"] == 2
    assert latest["window"] == {"start": "2026-02-06", "end": "2026-03-08", "time_zone": "UTC", "days": 30}
    [merged] = latest["restated"]
    assert (merged["figure"], merged["value_then"], merged["value"], merged["difference"]) == ("prs_merged", 4, 5, 1)
    assert (merged["cause"], merged["sources"], merged["has_more_sources"]) == ("late_data", [], False)
    assert "closed_unmerged" in {one["figure"] for one in earlier["restated"]}


def test_pages_and_parameters_are_checked(week: Cast) -> None:
    for hour in (9, 10, 11):
        keep(week, "acme", f"03-05 {hour:02}:00")
    client, address = week.client(week.viewer), ADDRESS.format("acme")
    page = client.get(address, {"since": "2026-03-01", "every": "hour", "limit": 2}).json()
    assert (page["count"], len(page["results"]), page["previous"]) == (3, 2, None)
    assert client.get(address, {"since": "2026-03-01"}).json()["count"] == 1
    for wrong in ({"since": "yesterday"}, {"every": "week"}, {"author": "ana"}):
        assert client.get(address, wrong).json()["fields"].keys() == wrong.keys()


def test_the_restatements_of_another_team_are_404(week: Cast) -> None:
    keep(week, "acme", "03-05 09:00")
    answer = week.client(week.stranger).get(ADDRESS.format("acme"))
    assert answer.status_code == 404
    assert week.client(week.stranger).get(ADDRESS.format("umbrella"), {"since": "2026-03-01"}).json()["count"] == 0

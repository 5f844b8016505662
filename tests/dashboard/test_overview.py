"""The overview of several teams."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.dashboard.overview_of_teams import COLUMNS, TEAMS_PER_PAGE
from apps.metrics.models import Goal
from apps.teams.models import Team, TeamAccess, TeamRepository
from tests.api.conftest import API, SECRETS, Cast, make_members
from tests.dashboard.test_pages import read, signed_in
from tests.shared_rows import shared_rows

pytestmark = pytest.mark.django_db
WEEK = "from=2026-03-02&to=2026-03-09"
NAMES = re.compile(r'<th scope="row"><a href="[^"]*">([^<]*)</a>')
ROWS, VALUES = re.compile(r'<tr> <th scope="row">(.*?)</tr>'), re.compile(r'<data value="([^"]*)">')


@pytest.fixture
@shared_rows
def two_teams(week: Cast) -> Cast:
    """The viewer of acme sees umbrella too."""
    TeamAccess.objects.create(team=week.teams["umbrella"], user=week.viewer)
    return week


def test_a_row_has_the_figures_of_the_api(two_teams: Cast) -> None:
    page = read(signed_in(two_teams.viewer), f"/?{WEEK}")
    answer = two_teams.client(two_teams.viewer).get(f"/api/v1/teams/acme/figures/?{WEEK}")
    known = {one["figure"]: one["value"] for one in answer.json()["figures"]}
    values = VALUES.findall(page)[: len(COLUMNS)]
    assert [float(value) for value in values] == pytest.approx([known[key] for key in COLUMNS])
    assert f'href="/teams/acme/?{WEEK}"'.replace("&", "&amp;") in page
    assert f'href="/teams/acme/figures/cycle_time/?{WEEK}"'.replace("&", "&amp;") in page


def test_rows_of_many_teams_have_each_its_figures(week: Cast) -> None:
    """Their values come from one statement, and what they lack from another."""
    for number, zone in enumerate(
        ("UTC", "Asia/Tokyo", "Pacific/Auckland", "Pacific/Honolulu", "Europe/Berlin", "UTC")
    ):
        team = Team.objects.create(name=f"Team {number}", slug=f"team-{number}", time_zone=zone)
        TeamRepository.objects.create(team=team, repository_id=(API, SECRETS)[number % 2])
        make_members(team, *("ana", "ben", "cy")[: number % 4])
    Team.objects.filter(slug="team-4").update(production_environments=["staging"])
    page = read(signed_in(week.operator), f"/?{WEEK}")
    shown = dict(zip(NAMES.findall(page), ROWS.findall(page), strict=True))
    assert len(shown) == Team.objects.count()
    for team in Team.objects.all():
        answer = week.client(week.operator).get(f"/api/v1/teams/{team.slug}/figures/?{WEEK}")
        known = {one["figure"]: one["value"] for one in answer.json()["figures"]}
        values = [float(value) if value else None for value in VALUES.findall(shown[team.name])]
        assert values == [pytest.approx(known[key]) for key in COLUMNS], team.name


def test_rows_can_be_sorted_and_teams_without_a_value_come_last(two_teams: Cast) -> None:
    client = signed_in(two_teams.viewer)
    asked = ("-name", "lead_time", "-lead_time")
    orders = {order: NAMES.findall(read(client, f"/?{WEEK}&sort={order}")) for order in asked}
    assert orders == {
        "-name": ["Umbrella", "acme"],
        "lead_time": ["acme", "Umbrella"],
        "-lead_time": ["acme", "Umbrella"],
    }
    assert NAMES.findall(read(client, f"/?{WEEK}")) == ["acme", "Umbrella"]
    assert "lead_time, change_failure_rate" in read(client, "/?sort=mood", status=400)


def test_a_repository_in_the_url_shows_the_teams_that_track_it(two_teams: Cast) -> None:
    client = signed_in(two_teams.viewer)
    assert NAMES.findall(read(client, f"/?{WEEK}&repository=acme/api")) == ["acme"]
    assert "does not track the repository" in read(client, f"/?{WEEK}&repository=acme/nothing", status=400)


def test_a_row_says_how_many_goals_were_met(two_teams: Cast) -> None:
    acme = two_teams.teams["acme"]
    for figure, direction in (("prs_merged", "at_least"), ("closed_unmerged", "at_most")):
        Goal.objects.create(team=acme, figure=figure, direction=direction, target=1, from_day="2026-03-02")
    client = signed_in(two_teams.viewer)
    page = read(client, f"/?{WEEK}&as_of=2026-03-11T00:00:00Z")
    assert "2 of 2 met" in page
    assert "1 of 2 met" in read(client, f"/?{WEEK}&as_of=2026-03-18T00:00:00Z")
    assert "none set" in page


def test_teams_come_in_pages_and_cost_the_same_however_many(cast: Cast) -> None:
    counts = []
    for number in range(TEAMS_PER_PAGE + 1):
        team = Team.objects.create(name=f"Team {number:02}", slug=f"team-{number}")
        TeamAccess.objects.create(team=team, user=cast.viewer)
        if number in (0, 3, TEAMS_PER_PAGE):
            client = signed_in(cast.viewer)
            with CaptureQueriesContext(connection) as queries:
                answer = client.get("/")
            counts.append(len(queries))
            assert len(answer.content) < 150_000
    assert counts[1] == counts[2]
    assert max(counts) <= 12
    page = read(client, "/?window=7d")
    assert len(NAMES.findall(page)) == TEAMS_PER_PAGE
    assert "?window=7d&amp;page=2" in page
    assert len(NAMES.findall(read(client, "/?window=7d&page=2"))) == 2

"""The page of what changed since a day: what was shown then, and what the same period is now."""

from datetime import date

import pytest
from django.test import Client

from apps.dashboard.restatements import last_monday
from apps.metrics.figures import FigureQuery, Window
from apps.metrics.hourly_figures import keep_figures
from apps.metrics.models import HourlyFigures
from tests.api.conftest import Cast
from tests.dashboard.test_pages import read, signed_in
from tests.metrics.steps import instant
from tests.shared_rows import shared_rows

pytestmark = pytest.mark.django_db
ADDRESS = "/teams/acme/changes/?since=2026-03-07"


@pytest.fixture
@shared_rows
def shown(week: Cast) -> Cast:
    """The figures of 7 March, of which one was shown otherwise."""
    window = Window.last(30, time_zone="UTC", now=instant("03-07 12:00"))
    keep_figures(FigureQuery(team=week.teams["acme"], window=window, as_of=instant("03-07 12:00")))
    row = HourlyFigures.objects.get()
    row.figures["prs_merged"] |= {"value": 4, "n": 4}
    row.save()
    return week


def test_it_shows_what_was_shown_then_and_what_is_so_now(shown: Cast) -> None:
    page = read(signed_in(shown.viewer), ADDRESS)
    assert "What changed since Saturday 7 Mar 2026" in page
    assert "1 of" in page
    assert "Pull requests merged</a>" in page
    assert "4 pull requests" in page
    assert "5 pull requests" in page
    assert "Late or corrected data" in page


def test_a_day_without_figures_has_those_that_came_next_or_says_so(shown: Cast) -> None:
    client = signed_in(shown.viewer)
    assert "7 Mar 2026 12:00" in read(client, "/teams/acme/changes/?since=2026-03-01")
    assert "No figures are stored for that day" in read(client, "/teams/acme/changes/?since=2026-04-01")
    assert "No figures are stored for that day" in read(client, "/teams/acme/changes/")
    for wrong in ("yesterday", "2026-13-01"):
        assert "That is not a date." in read(client, f"/teams/acme/changes/?since={wrong}")


def test_another_teams_changes_are_not_found(shown: Cast) -> None:
    read(signed_in(shown.stranger), ADDRESS, status=404)
    assert Client().get(ADDRESS).status_code == 302


def test_last_monday_is_before_today() -> None:
    days = {
        date(2026, 3, 9): date(2026, 3, 2),
        date(2026, 3, 10): date(2026, 3, 9),
        date(2026, 3, 15): date(2026, 3, 9),
    }
    assert {day: last_monday(day) for day in days} == days

"""Working hours: durations that count a team's working time alone."""

import random
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.db.models import FloatField, Value

from apps.metrics.figures import FigureQuery, Hours, Window, read_figure, read_figures
from apps.metrics.figures.figure import Measure
from apps.metrics.figures.registry import FIGURES
from apps.metrics.figures.sql_expressions import WorkingSeconds
from apps.teams.models import Team, WorkingCalendar
from tests.calculator.histories import history, record_history
from tests.metrics.steps import PullRequestSteps, instant, record_steps

pytestmark = pytest.mark.django_db
MINUTE, HOUR = timedelta(minutes=1), 3600
WINDOW = Window(start=date(2026, 3, 1), end=date(2026, 4, 1), time_zone="UTC")
MIDNIGHT = time(0)
CALENDARS = ((time(9), time(17), [1, 2, 3, 4, 5]), (MIDNIGHT, MIDNIGHT, [5, 6, 7]), (time(4, 30), time(12), [4, 7]))
ZONES = (
    *("UTC", "Europe/Berlin", "Europe/London", "Europe/Lisbon", "Europe/Moscow", "Europe/Istanbul", "Europe/Dublin"),
    *("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/St_Johns"),
    *("America/Sao_Paulo", "America/Santiago", "America/Havana", "America/Caracas", "America/Nuuk", "Atlantic/Azores"),
    *("Africa/Cairo", "Africa/Casablanca", "Africa/Lagos", "Asia/Jerusalem", "Asia/Beirut", "Asia/Kolkata"),
    *("Asia/Kathmandu", "Asia/Tokyo", "Australia/Lord_Howe", "Australia/Adelaide", "Pacific/Chatham", "Pacific/Apia"),
)


def seconds_of(team: Team, since: datetime, until: datetime) -> float:
    WorkingCalendar.ensure(team)
    begun, ended = (Value(at.timestamp(), output_field=FloatField()) for at in (since, until))
    found = Team.objects.annotate(seconds=WorkingSeconds(begun, ended, calendar=team.pk)).get(pk=team.pk)
    return float(found.seconds)


def minutes_worked(team: Team, since: datetime, until: datetime) -> int:
    """Count the minutes whose beginning is working time, one by one."""
    zone, end = ZoneInfo(team.time_zone), team.working_until
    counted = 0
    for number in range(int((until - since) / MINUTE)):
        local = (since + MINUTE * number).astimezone(zone)
        is_in_hours = team.working_from <= local.time() and (end == MIDNIGHT or local.time() < end)
        counted += local.isoweekday() in team.working_days and is_in_hours
    return counted


@pytest.mark.parametrize("zone", ZONES)
def test_working_hours_are_the_minutes_counted_one_by_one(zone: str) -> None:
    chance = random.Random(zone)  # noqa: S311  repeatable
    team = Team.objects.create(name=zone, slug="team", time_zone=zone)
    for starts, ends, days in CALENDARS:
        team.working_from, team.working_until, team.working_days = starts, ends, days
        for _ in range(2):
            since = chance.choice(transitions(zone)) - timedelta(minutes=chance.randrange(4320))
            until = since + timedelta(minutes=chance.randrange(5760))
            assert seconds_of(team, since, until) == 60 * minutes_worked(team, since, until), (since, until)


def transitions(zone: str) -> list[datetime]:
    """Return the midnights of 2026 around which the clocks change; without any, that of one Friday."""
    midnights = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number) for number in range(365)]
    offsets = [at.astimezone(ZoneInfo(zone)).utcoffset() for at in midnights]
    changed = [after for after, one, other in zip(midnights[1:], offsets, offsets[1:], strict=False) if one != other]
    return changed or [datetime(2026, 3, 13, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("times", "zone", "hours", "expected"),
    [
        (("03-13 20:00", "03-16 08:00"), "UTC", None, 60),
        (("03-13 20:00", "03-16 08:00"), "UTC", (MIDNIGHT, MIDNIGHT), 12),
        (("03-13 20:00", "03-16 08:00"), "UTC", (time(9), time(17)), 0),
        (("03-13 16:00", "03-16 10:00"), "UTC", (time(9), time(17)), 2),
        (("03-07 01:00", "03-09 12:00"), "America/New_York", None, 59),
        (("03-07 01:00", "03-09 12:00"), "America/New_York", (MIDNIGHT, MIDNIGHT), 12),
    ],
)
def test_fixture_c(teams: dict[str, Team], times: tuple[str, str], zone: str, hours: Any, expected: int) -> None:
    ready, reviewed = times
    record_steps(PullRequestSteps(1, "ana").opened(ready).reviewed(reviewed, "ben").steps)
    team = teams["acme"]
    team.time_zone = zone
    if hours:
        team.working_from, team.working_until = hours
    query = FigureQuery(team=team, window=WINDOW, hours=Hours.WORKING if hours else Hours.WALL)
    assert read_figure("time_to_first_review", query).value == expected * HOUR


def test_a_public_holiday_is_no_working_time(teams: dict[str, Team]) -> None:
    record_steps(PullRequestSteps(1, "ana").opened("04-02 16:00").reviewed("04-07 10:00", "ben").steps)
    team = teams["acme"]
    window = Window(start=date(2026, 4, 1), end=date(2026, 5, 1), time_zone="UTC")
    found = []
    for place in ("", "DE", "DE-BY", "US"):
        team.holidays_of = place
        reading = read_figure("time_to_first_review", FigureQuery(team=team, window=window, hours=Hours.WORKING))
        found.append(reading.value)
    assert found == [18 * HOUR, 2 * HOUR, 2 * HOUR, 18 * HOUR]


@pytest.mark.parametrize("place", ["XX", "DE-XX", "de"])
def test_a_place_without_known_holidays_is_refused(teams: dict[str, Team], place: str) -> None:
    team = teams["acme"]
    team.holidays_of = place
    with pytest.raises(ValidationError, match="ISO 3166"):
        team.full_clean()


def test_every_duration_has_a_twin_that_is_never_longer(teams: dict[str, Team]) -> None:
    record_history(history(seed=3))
    window = Window(start=date(2026, 2, 25), end=date(2026, 5, 1), time_zone="Europe/Berlin")
    team, as_of = teams["acme"], instant("06-01 00:00")
    team.working_days, team.working_from, team.working_until = [*range(1, 8)], MIDNIGHT, MIDNIGHT
    query = FigureQuery(team=team, window=window, as_of=as_of, hours=Hours.WORKING)
    always = {one.figure: one for one in read_figures(query)}
    team.working_days, team.working_from, team.working_until = [1, 2, 3, 4, 5], time(9), time(17)
    working = {one.figure: one for one in read_figures(replace(query))}
    for wall in read_figures(FigureQuery(team=team, window=window, as_of=as_of)):
        figure = FIGURES[wall.figure]
        if figure.measure is Measure.DISTRIBUTION and figure.unit == "seconds" and wall.n:
            own = working[wall.figure]
            assert always[wall.figure].mean == pytest.approx(wall.mean, abs=1), wall.figure
            assert own.n == wall.n
            assert (own.mean or 0) < (wall.mean or 0), wall.figure
        else:
            assert working[wall.figure] == wall, wall.figure

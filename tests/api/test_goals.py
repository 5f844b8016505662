"""Goals: what a team wants of its figures, and whether each week was so."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.activity.coverage import cover
from apps.integrations.streams import STREAM_NAMES
from apps.metrics import goals
from apps.metrics.api.goals import MOST_GOALS
from apps.metrics.goals import read_progress
from apps.metrics.models import Goal
from tests.api.conftest import API, Cast
from tests.metrics.fixture_a_expectations import HOUR

pytestmark = pytest.mark.django_db

GOALS = "/api/v1/teams/acme/goals/"
Body = dict[str, Any]
WEEK = {"from_day": "2026-03-02", "until_day": "2026-03-09"}
LEAD_TIME = {"figure": "lead_time", "direction": "at_most", "target": 27 * HOUR, **WEEK}


@pytest.fixture(autouse=True)
def _any_week(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show the weeks of the fixture, however long ago they are."""
    monkeypatch.setattr(goals, "MOST_WEEKS", 5000)


def add(cast: Cast, body: Body, *, by: str = "admin") -> Any:
    return cast.client(getattr(cast, by)).post(GOALS, body, format="json")


def test_every_goal_says_whether_it_is_met_and_one_statement_computes_all(week: Cast) -> None:
    cases: dict[tuple[str, str, float], bool | None] = {
        ("lead_time", "at_most", 27 * HOUR): True,
        ("lead_time", "at_most", 26 * HOUR): False,
        ("lead_time", "at_least", 28 * HOUR): False,
        ("prs_merged", "at_least", 5): True,
        ("prs_merged", "at_least", 6): False,
        ("review_coverage", "at_least", 0.8): True,
        ("closed_unmerged", "at_most", 0): True,
        ("review_turnaround", "at_most", 0): None,
        ("incidents", "at_most", 0): None,
    }
    for (figure, direction, target), is_met in cases.items():
        body = {"figure": figure, "direction": direction, "target": target, **WEEK}
        answer = add(week, body)
        assert answer.status_code == 201, answer.json()
        assert answer.json()["is_met"] is is_met
    with CaptureQueriesContext(
        connection,
    ) as queries:
        listed = week.client(week.viewer).get(GOALS).json()["results"]
    assert {(one["figure"], one["direction"], one["target"]): one["is_met"] for one in listed} == cases
    assert len([one for one in queries if str(one["sql"]).startswith("WITH rows_")]) == 1
    [lead_time, *_] = listed
    assert (lead_time["unit"], lead_time["value"]) == ("seconds", 27 * HOUR)
    [only] = lead_time["weeks"]
    assert only == {
        "start": "2026-03-02",
        "end": "2026-03-09",
        "n": 5,
        "value": 27 * HOUR,
        "partial": False,
        "complete": None,
        "is_met": True,
    }


def test_the_weeks_of_a_goal_lie_in_its_period(week: Cast) -> None:
    merged = {"figure": "prs_merged", "direction": "at_least", "target": 1}
    shown = add(week, {**merged, "from_day": "2026-02-25", "until_day": "2026-03-19"}).json()
    assert [(one["start"], one["value"], one["is_met"]) for one in shown["weeks"]] == [
        ("2026-03-02", 5, True),
        ("2026-03-09", 0, False),
    ]
    assert (shown["value"], shown["is_met"]) == (0, False), "the last week that has ended"
    later = add(week, {**merged, "from_day": "9998-01-01"}).json()
    assert (later["value"], later["is_met"], later["weeks"]) == (None, None, [])


def test_the_running_week_is_shown_and_decides_nothing(week: Cast) -> None:
    goal = Goal.objects.create(
        team=week.teams["acme"], figure="prs_merged", direction="at_least", target=1, from_day=date(2026, 2, 23)
    )
    found = read_progress(week.teams["acme"], [goal], now=datetime(2026, 3, 8, 12, tzinfo=UTC))[goal.pk]
    assert [(one.start.day, one.value, one.partial, one.is_met) for one in found.weeks] == [
        (23, 0, False, False),
        (2, 5, True, True),
    ]
    assert (found.value, found.is_met) == (0, False)


def test_of_a_week_that_is_not_wholly_stored_nothing_is_said(week: Cast) -> None:
    for stream in STREAM_NAMES:
        cover(stream, repository_id=API, from_at=datetime(2026, 3, 4, tzinfo=UTC), to_at=datetime.now(UTC))
    [shown] = add(week, LEAD_TIME).json()["weeks"]
    assert (shown["value"], shown["complete"], shown["is_met"]) == (27 * HOUR, False, None)


def test_a_goal_is_changed_and_deleted_by_admins_and_belongs_to_one_team(week: Cast) -> None:
    address = f"{GOALS}{add(week, LEAD_TIME).json()['id']}/"
    admin, viewer = week.client(week.admin), week.client(week.viewer)
    assert admin.patch(address, {"target": 26 * HOUR}, format="json").json()["is_met"] is False
    assert viewer.get(address).json()["target"] == 26 * HOUR
    assert viewer.patch(address, {"target": 1}, format="json").status_code == 403
    assert viewer.delete(address).status_code == 403
    assert add(week, LEAD_TIME, by="viewer").status_code == 403
    elsewhere = Goal.objects.create(
        team=week.teams["umbrella"], figure="commits", direction="at_least", target=1, from_day=date(2026, 3, 2)
    )
    assert admin.get(f"{GOALS}{elsewhere.pk}/").status_code == 404
    assert [one["figure"] for one in viewer.get(GOALS).json()["results"]] == ["lead_time"]
    assert admin.delete(address).status_code == 204
    assert viewer.get(GOALS).json()["results"] == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"figure": "velocity"}, "figure"),
        ({"direction": "about"}, "direction"),
        ({"target": -1}, "target"),
        ({"target": "nan"}, "target"),
        ({"target": "inf"}, "target"),
        ({"until_day": "2026-03-02"}, "until_day"),
        ({"from_day": None}, "from_day"),
        ({"team": "umbrella"}, "team"),
    ],
)
def test_a_goal_that_cannot_be_is_refused(week: Cast, change: Body, field: str) -> None:
    answer = add(week, LEAD_TIME | change)
    assert (answer.status_code, list(answer.json()["fields"])) == (400, [field])
    assert not Goal.objects.exists()


def test_a_team_has_so_many_goals_and_one_of_a_figure_that_is_gone_harms_no_other(week: Cast) -> None:
    about = {"team": week.teams["acme"], "direction": "at_most", "target": 1, "from_day": date(2026, 3, 2)}
    Goal.objects.bulk_create(Goal(figure="velocity", **about) for _ in range(MOST_GOALS))
    assert add(week, LEAD_TIME).status_code == 400
    Goal.objects.first().delete()  # type: ignore[union-attr]
    assert add(week, LEAD_TIME).json()["is_met"] is True
    shown = week.client(week.viewer).get(GOALS).json()["results"]
    assert {(one["figure"], one["unit"], one["is_met"]) for one in shown} == {
        ("velocity", "", None),
        ("lead_time", "seconds", True),
    }

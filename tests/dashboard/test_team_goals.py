"""Goals on the cards of a team."""

from typing import Any

import pytest
from django.test import Client

from apps.dashboard.goal_form import target_in
from apps.metrics import goals
from apps.metrics.models import Goal
from apps.users.models import CustomUser
from tests.api.conftest import Cast
from tests.dashboard.test_pages import read, signed_in
from tests.dashboard.two_clicks import both_at

pytestmark = pytest.mark.django_db
GOALS, TEAM = "/teams/acme/goals/", "/teams/acme/?section=flow"
LEAD_TIME = {"figure": "cycle_time", "direction": "at_most", "target": "2 d", "next": TEAM}


def post(user: CustomUser, **changes: str) -> Any:
    return signed_in(user).post(GOALS, {**LEAD_TIME, **changes}, follow=True)


def test_an_admin_sets_a_goal_on_a_card_and_ends_it(week: Cast) -> None:
    answer = post(week.admin)
    assert answer.redirect_chain[-1][0] == TEAM
    assert "Goal: at most 2 d 00 h \N{MIDDLE DOT} no full week yet" in answer.content.decode()
    post(week.admin, target="36 h")
    assert [goal.target for goal in Goal.objects.all()] == [36 * 3600]  # in the same week, it replaces the one before
    page = post(week.admin, end="1").content.decode()
    assert not Goal.objects.exists()
    assert " was removed." in page


@pytest.mark.django_db(transaction=True)
def test_two_goals_at_once_leave_the_later_one(cast: Cast) -> None:
    with both_at(goals, "end_goals") as together:
        together(lambda: goals.set_goal(cast.teams["acme"], figure="cycle_time", direction="at_most", target=1))
    assert Goal.objects.count() == 1


def test_a_goal_that_was_measured_ends_with_last_week(week: Cast) -> None:
    kept = Goal.objects.create(
        team=week.teams["acme"], figure="cycle_time", direction="at_most", target=1, from_day="2026-03-02"
    )
    post(week.admin)
    kept.refresh_from_db()
    new = Goal.objects.exclude(pk=kept.pk).get()
    assert kept.until_day == new.from_day
    assert (new.from_day.weekday(), new.until_day) == (0, None)


def test_a_card_says_whether_the_last_week_met_the_goal_and_draws_the_target(week: Cast) -> None:
    for figure, target in (("cycle_time", 8 * 3600), ("pr_size", 1)):
        Goal.objects.create(
            team=week.teams["acme"], figure=figure, direction="at_most", target=target, from_day="2026-03-02"
        )
    page = read(
        signed_in(week.viewer), "/teams/acme/?from=2026-03-02&to=2026-03-09&section=flow&as_of=2026-03-10T00:00:00Z"
    )
    assert "Goal: at most 8 h 00 m \N{MIDDLE DOT} met last week" in page
    assert "missed last week" in page
    assert page.count('class="aim"') == 2


def test_who_may_not_edit_the_team_sets_no_goal(week: Cast) -> None:
    assert post(week.viewer).status_code == 403
    assert post(week.stranger).status_code == 404
    assert Client().post(GOALS, LEAD_TIME)["Location"].startswith("/accounts/login/")
    assert signed_in(week.admin).get(GOALS).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(week.admin, backend="django.contrib.auth.backends.ModelBackend")
    assert strict.post(GOALS, LEAD_TIME).status_code == 403
    assert not Goal.objects.exists()
    assert "goal-form" not in read(signed_in(week.viewer), TEAM)
    assert "goal-form" in read(signed_in(week.admin), TEAM)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": "soon"}, "like 2 d, 36 h or 45 m"),
        ({"figure": "review_coverage", "target": "150 %"}, "from 0 to 100"),
        ({"figure": "prs_merged", "target": "2 d"}, "is not a number"),
        ({"direction": "about"}, "not a valid choice"),
    ],
)
def test_a_goal_that_cannot_be_set_says_why(week: Cast, changes: dict[str, str], words: str) -> None:
    assert words in post(week.admin, **changes).content.decode()
    assert not Goal.objects.exists()


def test_an_unknown_figure_and_a_foreign_address_lead_nowhere(week: Cast) -> None:
    assert post(week.admin, figure="mood").status_code == 404
    for where in ("https://evil.example.com/", "//evil.example.com/", "javascript:alert(1)", ""):
        answer = signed_in(week.admin).post(GOALS, {**LEAD_TIME, "next": where})
        assert answer["Location"] == "/teams/acme/"


@pytest.mark.parametrize(
    ("text", "unit", "target"),
    [
        ("2 d", "seconds", 172800),
        ("1.5h", "seconds", 5400),
        ("45 M", "seconds", 2700),
        ("15 %", "share", 0.15),
        ("7", "lines", 7),
    ],
)
def test_targets_are_written_as_people_write_them(text: str, unit: str, target: float) -> None:
    assert target_in(text, unit=unit) == pytest.approx(target)

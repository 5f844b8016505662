"""Fixture A: the worked example that every figure must come to, and the values that none may."""

import random
from collections.abc import Mapping
from typing import Any

import pytest

from apps.metrics.figures import Bots, FigureQuery, list_entities, read_figure
from apps.metrics.figures.entities import count_entities
from apps.metrics.models import DerivedPullRequest
from apps.metrics.recalculation import drain
from apps.teams.models import Team
from tests.metrics import fixture_a
from tests.metrics.comparing import assert_equals_rebuild, derived_tables
from tests.metrics.fixture_a_expectations import (
    BOTS_ONLY,
    FIRST_COMMITS,
    FLAGS,
    HUMANS,
    MERGED_BY_TEAM,
    ROUNDS,
    WEEK,
    WHILE_THREE_WAS_CLOSED,
    WITH_BOTS,
    WRONG_VALUES,
)
from tests.metrics.tales import deployed, tell, tell_all

pytestmark = pytest.mark.django_db
Teams = dict[str, Team]


def assert_comes_to(query: FigureQuery, expected: Mapping[str, Mapping[str, Any]]) -> None:
    for key, values in expected.items():
        reading = read_figure(key, query).as_dict()
        assert {name: reading[name] for name in values} == values, key


def test_humans_in_the_week(teams: Teams) -> None:
    tell_all(fixture_a.steps())
    assert_comes_to(FigureQuery(team=teams["acme"], window=WEEK), HUMANS)


def test_bots_are_separable(teams: Teams) -> None:
    tell_all(fixture_a.steps())
    assert_comes_to(FigureQuery(team=teams["acme"], window=WEEK, bots=Bots.INCLUDE), WITH_BOTS)
    assert_comes_to(FigureQuery(team=teams["acme"], window=WEEK, bots=Bots.ONLY), BOTS_ONLY)


def test_no_figure_comes_to_a_naive_value(teams: Teams) -> None:
    tell_all(fixture_a.steps())
    query = FigureQuery(team=teams["acme"], window=WEEK)
    for key, wrong in WRONG_VALUES.items():
        reading = read_figure(key, query).as_dict()
        for name, value in wrong:
            assert reading[name] != pytest.approx(value, abs=1e-6), f"{key} {name}"


def test_a_closing_counts_for_as_long_as_it_held(teams: Teams) -> None:
    tell_all(fixture_a.steps())
    query = FigureQuery(team=teams["acme"], window=WEEK, as_of=WHILE_THREE_WAS_CLOSED)
    assert read_figure("closed_unmerged", query).value == 1
    assert [entity.number for entity in list_entities("closed_unmerged", query)] == [3]
    assert read_figure("prs_merged", query).value == 2  # 3, 5 and 6 were not merged yet
    assert read_figure("deployment_frequency", query).denominator == 3  # nor had the other days begun


def test_work_counts_for_the_team_of_its_day(teams: Teams) -> None:
    tell_all(fixture_a.steps())
    for slug, numbers in MERGED_BY_TEAM.items():
        query = FigureQuery(team=teams[slug], window=WEEK)
        assert {entity.number for entity in list_entities("prs_merged", query)} == numbers, slug
        assert read_figure("prs_merged", query).value == len(numbers)
    assert read_figure("prs_merged", FigureQuery(team=teams["acme"], window=WEEK)).value == 5


def test_deployments_count_for_every_team_of_the_repository(teams: Teams) -> None:
    tell_all(fixture_a.steps())
    for team in teams.values():
        assert read_figure("deployments", FigureQuery(team=team, window=WEEK)).value == 4


def test_the_first_commit_comes_with_the_pushes_of_the_branch(teams: Teams) -> None:
    tell_all(fixture_a.steps())
    rows = DerivedPullRequest.objects.all()
    assert dict(rows.values_list("number", "first_commit_at")) == FIRST_COMMITS
    assert dict(rows.values_list("number", "review_rounds")) == ROUNDS
    for flag, numbers in FLAGS.items():
        assert set(rows.filter(**{flag: True}).values_list("number", flat=True)) == numbers, flag


@pytest.mark.parametrize("bots", list(Bots))
def test_the_list_behind_a_figure_is_exactly_what_it_counts(teams: Teams, bots: Bots) -> None:
    tell_all(fixture_a.steps())
    for team in teams.values():
        query = FigureQuery(team=team, window=WEEK, bots=bots)
        for key in HUMANS:
            listed = list_entities(key, query)
            assert len(listed) == count_entities(key, query) == read_figure(key, query).n, key
            assert len({(entity.kind, entity.name) for entity in listed}) == len(listed), key
            assert [entity.at for entity in listed] == sorted((entity.at for entity in listed), reverse=True)


@pytest.mark.parametrize("seed", range(6))
def test_any_order_with_repeats_comes_to_the_same(teams: Teams, seed: int) -> None:
    luck = random.Random(seed)  # noqa: S311  an order, not a secret
    steps = fixture_a.steps()
    told = [*steps, *luck.sample(steps, k=len(steps) // 2)]
    luck.shuffle(told)
    for step in told:
        tell(*step)
        if luck.random() < 0.3:
            drain(seconds=60)
    drain(seconds=60)
    assert_comes_to(FigureQuery(team=teams["acme"], window=WEEK), HUMANS)
    assert_equals_rebuild()


@pytest.mark.proof
def test_after_every_step_the_rows_are_those_of_a_rebuild(teams: Teams) -> None:
    for step in fixture_a.steps():
        tell(*step)
        drain(seconds=60)
        assert_equals_rebuild()
    assert derived_tables()["deployments"]


def test_a_deployment_that_arrives_late_counts(teams: Teams) -> None:
    tell_all(fixture_a.steps())
    tell_all(deployed(108, statuses={"success": "03-04 08:00"}))
    query = FigureQuery(team=teams["acme"], window=WEEK)
    assert read_figure("deployments", query).value == 5
    assert read_figure("deployment_frequency", query).remarks == {"deployment_days": 4}

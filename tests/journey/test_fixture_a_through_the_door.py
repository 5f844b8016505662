"""The worked example of the figures, posted at the door as GitHub posts it, in any order and with repeats."""

import os

import pytest

from apps.metrics.figures import FigureQuery, read_figure
from apps.metrics.models import DerivedFailure, DerivedPullRequest
from apps.teams.models import IncidentRule, Team, TeamMember
from apps.webhooks.models import Delivery
from tests.github import fixture_a
from tests.github.translation import Door
from tests.journey.shuffling import all_tables, deliver_shuffled, forget_everything, work_off
from tests.metrics.comparing import assert_equals_rebuild
from tests.metrics.fixture_a_expectations import (
    FIRST_COMMITS,
    FLAGS,
    HUMANS,
    MERGED_BY_TEAM,
    ROUNDS,
    WEEK,
    WHILE_THREE_WAS_CLOSED,
)

pytestmark = pytest.mark.django_db(transaction=True)
ORDERS = int(os.environ.get("PERMUTATIONS", "50"))  # `make permutations` takes 1,000
A_GROUP = 5
# The pushes tell the five merges of GitHub's button. Of the commits that created a branch they do not tell it.
EXPECTED = {**HUMANS, "commits": {"value": 6, "remarks": {"merges_not_known": 5}}}


def arrange_teams() -> None:
    """The people of the fixture, in their teams for as long as they were."""
    alpha, beta, platform = (Team.objects.create(name=name, slug=name) for name in ("alpha", "beta", "platform"))
    moved = fixture_a.ANA_CHANGES_TEAM_AT
    TeamMember.objects.create(team=alpha, contributor_id=fixture_a.ANA.id, until_at=moved)
    TeamMember.objects.create(team=beta, contributor_id=fixture_a.ANA.id, from_at=moved)
    for team, people in (
        (alpha, (fixture_a.BEN, fixture_a.TALBOT)),
        (beta, (fixture_a.CY,)),
        (platform, (fixture_a.BEN,)),
    ):
        for person in people:
            TeamMember.objects.create(team=team, contributor_id=person.id)
    for team in (alpha, beta, platform):
        team.tracked.create(repository_id=fixture_a.REPOSITORY_ID)


def assert_comes_to_its_numbers() -> None:
    team = Team.objects.get(account_id=fixture_a.ACME.id)  # made by the installation, with all its repositories
    query = FigureQuery(team=team, window=WEEK)
    for key, values in EXPECTED.items():
        reading = read_figure(key, query).as_dict()
        assert {name: reading[name] for name in values} == values, key
    then = FigureQuery(team=team, window=WEEK, as_of=WHILE_THREE_WAS_CLOSED)
    assert read_figure("closed_unmerged", then).value == 1
    rows = DerivedPullRequest.objects.all()
    assert dict(rows.values_list("number", "first_commit_at")) == FIRST_COMMITS
    assert dict(rows.values_list("number", "review_rounds")) == ROUNDS
    for flag, numbers in FLAGS.items():
        assert set(rows.filter(**{flag: True}).values_list("number", flat=True)) == numbers, flag


@pytest.mark.proof
def test_in_githubs_order_it_comes_to_its_numbers_and_counts_for_the_team_of_its_day():
    Door().deliver(fixture_a.fixture_a())
    work_off()
    assert not Delivery.objects.exclude(state__in=("processed", "ignored")).exists()
    assert_comes_to_its_numbers()
    arrange_teams()
    for slug, numbers in MERGED_BY_TEAM.items():
        query = FigureQuery(team=Team.objects.get(slug=slug), window=WEEK)
        assert read_figure("prs_merged", query).value == len(numbers), slug
    assert_equals_rebuild()
    IncidentRule.objects.create(pattern="^incident$")
    work_off()
    query = FigureQuery(team=Team.objects.get(account_id=fixture_a.ACME.id), window=WEEK)
    for key in ("change_failure_rate", "failed_deployment_recovery_time", "deployment_rework_rate"):
        reading = read_figure(key, query).as_dict()
        assert {name: reading[name] for name in EXPECTED[key]} == EXPECTED[key], key
    assert read_figure("incidents", query).value == 3
    assert read_figure("incident_recovery_time", query).n == 2
    assert {failure.kind for failure in DerivedFailure.objects.all()} == {"pull_request"}
    assert DerivedFailure.objects.count() == 2
    assert_equals_rebuild()


@pytest.mark.parametrize(
    "group", [0, *(pytest.param(seed, marks=pytest.mark.proof) for seed in range(A_GROUP, ORDERS, A_GROUP))]
)
def test_in_any_order_with_repeats_it_comes_to_the_same(group):
    told = fixture_a.fixture_a()
    Door().deliver(told)
    work_off()
    expected = all_tables()
    for seed in range(group, min(group + A_GROUP, ORDERS)):
        forget_everything()
        deliver_shuffled(told, seed=seed)
        assert_comes_to_its_numbers()
        assert all_tables() == expected, f"seed {seed}"


@pytest.mark.proof
def test_a_deployment_that_arrives_late_counts():
    Door().deliver(fixture_a.fixture_a(has_late_deployment=True))
    work_off()
    team = Team.objects.get(account_id=fixture_a.ACME.id)
    assert read_figure("deployments", FigureQuery(team=team, window=WEEK)).value == 5

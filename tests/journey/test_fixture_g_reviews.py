"""Review requests, comments and a backport, posted at the door as GitHub posts them, in any order and with repeats."""

import os

import pytest

from apps.metrics.figures import FigureQuery, list_entities, read_figure
from apps.metrics.models import DerivedPullRequest
from apps.teams.models import Team
from tests.github.fixture_a import ACME
from tests.github.fixture_g_reviews import BACKPORT, OPENED_AT, REQUESTED, fixture_g_reviews
from tests.github.translation import Door
from tests.journey.shuffling import all_tables, deliver_shuffled, forget_everything, work_off
from tests.metrics.comparing import assert_equals_rebuild
from tests.metrics.fixture_a_expectations import HOUR, WEEK

pytestmark = pytest.mark.django_db(transaction=True)
ORDERS = int(os.environ.get("PERMUTATIONS", "8"))

# key: median and number; and what a naive system shows: with the bot, by the merge or the first answer alone, ...
EXPECTED = {"review_turnaround": (3 * HOUR, 2), "time_to_first_response": (80 * 60, 1), "coding_time": (35 * 60, 2)}
WRONG = {"review_turnaround": {60.0, 2 * HOUR, 4 * HOUR}, "time_to_first_response": {21 * 60.0, 140 * 60.0}}


def assert_comes_to_its_numbers() -> None:
    query = FigureQuery(team=Team.objects.get(account_id=ACME.id), window=WEEK)
    found = {key: read_figure(key, query) for key in EXPECTED}
    assert {key: (reading.value, reading.n) for key, reading in found.items()} == EXPECTED
    assert all(found[key].value not in wrong for key, wrong in WRONG.items())
    assert [one.account for one in list_entities("review_turnaround", query)] == ["cy", "ben"]
    rows = {row.number: row for row in DerivedPullRequest.objects.all()}
    assert (rows[BACKPORT].coding_seconds, rows[BACKPORT].is_cherry_picked) == (HOUR, True)
    assert (OPENED_AT - rows[BACKPORT].first_commit_at).total_seconds() == HOUR
    assert not rows[REQUESTED].is_cherry_picked


def test_in_any_order_with_repeats_it_comes_to_its_numbers() -> None:
    told = fixture_g_reviews()
    Door().deliver(told)
    work_off()
    assert_comes_to_its_numbers()
    expected = all_tables()
    for seed in range(ORDERS):
        forget_everything()
        deliver_shuffled(told, seed=seed)
        assert_comes_to_its_numbers()
        assert all_tables() == expected, f"seed {seed}"
    assert_equals_rebuild()

"""The merge queue and changes of the base, posted at the door, in any order and with repeats."""

import pytest

from apps.activity.models import PullRequest, PullRequestEvent
from apps.metrics.figures import Asked, Bots, FigureQuery, Hours, list_entities, read_figure
from apps.metrics.figures.entities import Listing, count_entities
from apps.metrics.models import DerivedPullRequest
from apps.teams.models import Team
from tests.github.fixture_a import ACME
from tests.github.fixture_g8 import fixture_g8
from tests.github.translation import Door, at
from tests.journey.test_fixture_a_through_the_door import all_tables, deliver_shuffled, forget_everything, work_off
from tests.metrics.comparing import assert_equals_rebuild
from tests.metrics.fixture_a_expectations import HOUR, WEEK, hours

pytestmark = pytest.mark.django_db(transaction=True)
IN_QUEUE = {1: 1.5 * HOUR, 2: 1.25 * HOUR, 3: None, 4: None, 5: 0, 6: HOUR, 7: None}
AUTO_MERGED = {1, 7}


def query(**changes: object) -> FigureQuery:
    return FigureQuery(team=Team.objects.get(account_id=ACME.id), window=WEEK, **changes)  # type: ignore[arg-type]


def assert_comes_to_its_numbers() -> None:
    rows = DerivedPullRequest.objects.all()
    assert dict(rows.values_list("number", "queue_seconds")) == IN_QUEUE
    assert set(rows.filter(is_auto_merged=True).values_list("number", flat=True)) == AUTO_MERGED
    assert rows.get(number=1).merge_seconds == 100 * 60
    reading = read_figure("time_in_queue", query(), asked=Asked(has_exclusions=True))
    expected = hours(3, value=1.25, mean=0.916667, p75=1.375, p90=1.45)
    assert {name: reading.as_dict()[name] for name in expected} == expected
    assert reading.excluded == {"bot": 1, "never_queued": 2}
    coverage = read_figure("review_coverage", query())
    assert (coverage.numerator, coverage.denominator, coverage.remarks) == (1, 5, {"auto_merged": 2})


def test_in_any_order_the_merge_queue_comes_to_its_numbers() -> None:
    told = fixture_g8()
    Door().deliver(told)
    work_off()
    assert_comes_to_its_numbers()
    assert_equals_rebuild()
    expected = all_tables()
    for seed in range(3):
        forget_everything()
        deliver_shuffled(told, seed=seed)
        assert_comes_to_its_numbers()
        assert all_tables() == expected, f"seed {seed}"


def test_what_counts_and_what_does_not_is_listed_and_an_earlier_answer_stays() -> None:
    Door().deliver(fixture_g8())
    work_off()
    assert [entity.number for entity in list_entities("time_in_queue", query())] == [5, 1, 2]
    left_out = Listing(excluded="never_queued")
    assert count_entities("time_in_queue", query(), listing=left_out) == 2
    assert {entity.number for entity in list_entities("time_in_queue", query(), listing=left_out)} == {3, 7}
    assert read_figure("time_in_queue", query(bots=Bots.ONLY)).value == HOUR
    assert read_figure("time_in_queue", query(hours=Hours.WORKING)).value == 1.25 * HOUR  # of a Wednesday before noon
    then = read_figure("time_in_queue", query(as_of=at("03-04", "12:00")))
    assert (then.n, then.value) == (1, 1.25 * HOUR)


def test_why_it_left_the_queue_and_what_its_base_was_are_kept() -> None:
    Door().deliver(fixture_g8())
    work_off()
    left = PullRequestEvent.objects.filter(kind="dequeued").values_list("number", "reason")
    assert dict(left) == {1: "merge", 2: "ci_failure", 4: "manual"}
    bases = PullRequestEvent.objects.filter(kind="base_changed").order_by("at").values_list("number", "subject")
    assert list(bases) == [(7, "main"), (7, "release")]
    assert PullRequest.objects.get(number=7).base_ref == "main"

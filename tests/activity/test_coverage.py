"""Up to when everything is here: stretches of time that meet are one, of one repository or of many together."""

from datetime import datetime, timedelta

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from apps.activity.coverage import Stretch, cover, cover_together
from apps.activity.models import Coverage, Repository
from tests.github.translation import at

REPOSITORY = 11


@pytest.fixture(autouse=True)
def repository(db: None) -> None:
    Repository.objects.create(github_id=REPOSITORY)


def cover_issues(from_day: str, to_day: str) -> None:
    cover("issues", repository_id=REPOSITORY, from_at=at(from_day, "00:00"), to_at=at(to_day, "00:00"))


def stretches() -> list[tuple[datetime, datetime]]:
    return list(Coverage.objects.order_by("from_at").values_list("from_at", "to_at"))


def test_periods_that_touch_or_overlap_become_one() -> None:
    cover_issues("03-01", "03-02")
    cover_issues("03-05", "03-06")
    assert len(stretches()) == 2
    cover_issues("03-02", "03-03")
    assert stretches()[0] == (at("03-01", "00:00"), at("03-03", "00:00"))
    cover_issues("03-03", "03-05")
    assert stretches() == [(at("03-01", "00:00"), at("03-06", "00:00"))]


def test_a_period_that_is_already_covered_changes_nothing() -> None:
    cover_issues("03-01", "03-06")
    cover_issues("03-02", "03-03")
    assert stretches() == [(at("03-01", "00:00"), at("03-06", "00:00"))]


def test_a_stretch_that_runs_backwards_covers_nothing() -> None:
    cover_issues("03-02", "03-01")
    assert stretches() == []


def test_the_log_of_deliveries_is_covered_for_every_repository_at_once() -> None:
    cover(Coverage.DELIVERIES, repository_id=None, from_at=at("03-01", "00:00"), to_at=at("03-02", "00:00"))
    cover_issues("03-02", "03-03")
    assert len(stretches()) == 2
    with pytest.raises(IntegrityError), transaction.atomic():
        Coverage.objects.create(stream="issues", from_at=at("03-01", "00:00"), to_at=at("03-01", "00:00"))


START = at("03-02", "00:00")
STREAMS = ("issues", "commits")
REPOSITORIES = (11, 12)
hours = st.integers(0, 12)
some_stretches = st.builds(
    lambda repository, stream, begin, end: Stretch(
        repository_id=repository,
        stream=stream,
        from_at=START + timedelta(hours=begin),
        to_at=START + timedelta(hours=end),
    ),
    st.sampled_from(REPOSITORIES),
    st.sampled_from(STREAMS),
    hours,
    hours,
)
nights = st.lists(
    st.lists(some_stretches, max_size=4, unique_by=lambda one: (one.repository_id, one.stream)), max_size=5
)


def rows() -> set[tuple[object, ...]]:
    return set(Coverage.objects.values_list("repository_id", "stream", "from_at", "to_at"))


class Together(TestCase):
    """On the real database."""

    @settings(deadline=None, max_examples=60)
    @given(nights=nights)
    def test_coverage_recorded_together_equals_one_by_one(self, nights: list[list[Stretch]]) -> None:
        for identity in REPOSITORIES:
            Repository.objects.get_or_create(github_id=identity)
        Coverage.objects.all().delete()
        for night in nights:
            for one in night:
                cover(one.stream, repository_id=one.repository_id, from_at=one.from_at, to_at=one.to_at)
        expected = rows()
        Coverage.objects.all().delete()
        for night in nights:
            cover_together(night)
        assert rows() == expected
        assert Coverage.objects.count() == len(expected)


@pytest.mark.django_db
def test_nothing_covers_nothing() -> None:
    cover_together([])
    assert not Coverage.objects.exists()

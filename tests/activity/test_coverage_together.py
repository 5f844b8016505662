"""Covering many repositories at once comes to what covering them one by one comes to."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from apps.activity.coverage import Stretch, cover, cover_together
from apps.activity.models import Coverage, Repository
from tests.github.translation import at

START = at("03-02", "00:00")
STREAMS = ("issues", "commits")
REPOSITORIES = (11, 12)
hours = st.integers(0, 12)
stretches = st.builds(
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
nights = st.lists(st.lists(stretches, max_size=4, unique_by=lambda one: (one.repository_id, one.stream)), max_size=5)


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

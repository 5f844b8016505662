"""Stages of a pull request: the worked examples, and what holds for any of them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.metrics.derivation.stages import Boundaries, stages
from tests.metrics.steps import instant

HOURS = st.one_of(st.none(), st.integers(0, 200))
BEGINNING = datetime(2026, 3, 2, tzinfo=UTC)


def boundaries(*texts: str) -> Boundaries:
    first_commit, ready, review, approval, merged = (instant(text) if text else None for text in texts)
    assert first_commit
    assert merged
    return Boundaries(
        started_at=first_commit,
        ready_at=ready,
        first_review_at=review,
        first_approval_at=approval,
        merged_at=merged,
    )


@pytest.mark.parametrize(
    ("texts", "hours"),
    [
        (("03-02 09:00", "03-02 14:00", "03-02 16:00", "03-03 09:00", "03-03 10:00"), (5, 2, 17, 1)),
        (("03-03 08:00", "03-03 09:00", "", "", "03-03 11:00"), (1, 2, 0, 0)),
        (("03-04 08:30", "03-04 09:00", "03-05 10:00", "03-05 10:00", "03-05 11:00"), (0.5, 25, 0, 1)),
        (("03-01 09:00", "03-05 09:00", "03-05 12:00", "03-05 12:00", "03-05 16:00"), (96, 3, 0, 4)),
        (("03-02 08:00", "03-02 10:00", "03-02 09:00", "", "03-02 12:00"), (2, 0, 2, 0)),  # reviewed as a draft
        (("03-02 08:00", "", "03-02 09:00", "", "03-02 12:00"), (1, 0, 3, 0)),  # merged as a draft
    ],
)
def test_a_missing_boundary_gives_its_time_to_the_stage_that_waited(
    texts: tuple[str, ...], hours: tuple[float, ...]
) -> None:
    found = stages(boundaries(*texts))
    assert (found.coding, found.pickup, found.review, found.merge) == tuple(3600 * each for each in hours)


@given(st.tuples(st.integers(0, 200), HOURS, HOURS, HOURS, st.integers(0, 200)))
def test_stages_are_never_negative_and_sum_to_the_time_from_the_first_boundary(hours: tuple[int | None, ...]) -> None:
    instants = [None if each is None else BEGINNING + timedelta(hours=each) for each in hours]
    first, ready, review, approval, merged = instants
    assert first
    assert merged
    found = stages(
        Boundaries(
            started_at=first,
            ready_at=ready,
            first_review_at=review,
            first_approval_at=approval,
            merged_at=merged,
        )
    )
    assert min(found.coding, found.pickup, found.review, found.merge) >= 0
    began = min(first, merged)
    assert found.total == int((merged - began).total_seconds())

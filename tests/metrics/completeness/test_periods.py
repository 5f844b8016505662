"""Arithmetic with periods of time: tables, and a grid of minutes to compare with."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.metrics.completeness.gaps import Period, cut_at, intersect, merge_periods, subtract
from tests.metrics.completeness.known import minute, periods

Pairs = list[tuple[int, int]]
DAY = 60

pairs = st.lists(
    st.tuples(st.integers(0, DAY), st.integers(0, DAY)).map(lambda pair: (min(pair), max(pair))), max_size=8
)


def minutes(found: list[Period]) -> set[int]:
    """The minutes in any of the periods, one by one."""
    return {each for each in range(DAY) if any(one.from_at <= minute(each) < one.to_at for one in found)}


@pytest.mark.parametrize(
    ("given_pairs", "expected"),
    [
        ([], []),
        ([(1, 3)], [(1, 3)]),
        ([(5, 7), (1, 3)], [(1, 3), (5, 7)]),
        ([(1, 3), (3, 5)], [(1, 5)]),
        ([(1, 9), (3, 5)], [(1, 9)]),
        ([(1, 4), (3, 5), (5, 6), (8, 9)], [(1, 6), (8, 9)]),
        ([(2, 2)], [(2, 2)]),
        ([(1, 2), (2, 2)], [(1, 2)]),
    ],
)
def test_periods_that_overlap_or_touch_are_merged(given_pairs: Pairs, expected: Pairs) -> None:
    assert merge_periods(periods(*given_pairs)) == periods(*expected)


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ([], [(10, 20)]),
        ([(0, 30)], []),
        ([(10, 20)], []),
        ([(0, 5), (25, 30)], [(10, 20)]),
        ([(0, 12)], [(12, 20)]),
        ([(18, 30)], [(10, 18)]),
        ([(12, 14), (15, 16)], [(10, 12), (14, 15), (16, 20)]),
        ([(15, 15)], [(10, 20)]),
        ([(5, 10), (20, 25)], [(10, 20)]),
    ],
)
def test_periods_left_after_subtraction(taken: Pairs, expected: Pairs) -> None:
    assert list(subtract(Period(minute(10), minute(20)), periods(*taken))) == periods(*expected)


@given(pairs=pairs)
def test_merged_periods_are_the_same_time_in_order_without_overlap(pairs: Pairs) -> None:
    found = merge_periods(periods(*pairs))
    assert minutes(found) == minutes(periods(*pairs))
    assert all(one.to_at < other.from_at for one, other in pairwise(found))


@given(whole=st.tuples(st.integers(0, DAY), st.integers(0, DAY)).map(sorted), taken=pairs)
def test_subtracted_periods_leave_the_rest_of_the_whole(whole: list[int], taken: Pairs) -> None:
    one = Period(minute(whole[0]), minute(whole[1]))
    left = list(subtract(one, merge_periods(periods(*taken))))
    assert minutes(left) == minutes([one]) - minutes(periods(*taken))
    assert merge_periods(left) == left


@given(pairs=pairs, within=pairs, at=st.integers(0, DAY))
def test_intersections_and_cuts_of_periods(pairs: Pairs, within: Pairs, at: int) -> None:
    one, other = merge_periods(periods(*pairs)), merge_periods(periods(*within))
    assert minutes(list(intersect(one, within=other))) == minutes(one) & minutes(other)
    assert minutes(cut_at(one, at=minute(at))) == {each for each in minutes(one) if each < at}

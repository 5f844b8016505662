"""Arithmetic with stretches of time: tables, and a grid of minutes to compare with."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.metrics.completeness.gaps import Stretch, common, cut_off, left_of, united
from tests.metrics.completeness.known import minute, stretches

Pairs = list[tuple[int, int]]
DAY = 60

pairs = st.lists(
    st.tuples(st.integers(0, DAY), st.integers(0, DAY)).map(lambda pair: (min(pair), max(pair))), max_size=8
)


def minutes(found: list[Stretch]) -> set[int]:
    """The minutes in any of the stretches, one by one."""
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
def test_what_overlaps_or_meets_becomes_one(given_pairs: Pairs, expected: Pairs) -> None:
    assert united(stretches(*given_pairs)) == stretches(*expected)


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
def test_what_is_left_of_a_stretch(taken: Pairs, expected: Pairs) -> None:
    assert list(left_of(Stretch(minute(10), minute(20)), stretches(*taken))) == stretches(*expected)


@given(pairs=pairs)
def test_united_is_the_same_time_in_order_and_apart(pairs: Pairs) -> None:
    found = united(stretches(*pairs))
    assert minutes(found) == minutes(stretches(*pairs))
    assert all(one.to_at < other.from_at for one, other in pairwise(found))


@given(whole=st.tuples(st.integers(0, DAY), st.integers(0, DAY)).map(sorted), taken=pairs)
def test_what_is_left_is_the_whole_without_what_is_taken(whole: list[int], taken: Pairs) -> None:
    one = Stretch(minute(whole[0]), minute(whole[1]))
    left = list(left_of(one, united(stretches(*taken))))
    assert minutes(left) == minutes([one]) - minutes(stretches(*taken))
    assert united(left) == left


@given(pairs=pairs, within=pairs, at=st.integers(0, DAY))
def test_what_is_common_and_what_is_cut_off(pairs: Pairs, within: Pairs, at: int) -> None:
    one, other = united(stretches(*pairs)), united(stretches(*within))
    assert minutes(list(common(one, within=other))) == minutes(one) & minutes(other)
    assert minutes(cut_off(one, at=minute(at))) == {each for each in minutes(one) if each < at}

"""A history told by several sources is one story."""

from datetime import datetime, timedelta
from itertools import permutations

import pytest

from apps.metrics.derivation.timeline import Drafts, Happening, Interval, closings, deduplicated, drafts
from tests.metrics.steps import instant

NOON = instant("03-02 12:00")


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def happening(kind: str, seconds: float, *, is_from_api: bool = False, subject: str = "") -> Happening:
    return Happening(at(seconds), kind, subject, is_from_api, None)


def test_an_event_reported_twice_within_ten_seconds_has_the_time_of_the_api() -> None:
    told = [happening("reopened", 8), happening("reopened", 0, is_from_api=True), happening("reopened", 3)]
    for order in permutations(told):
        assert deduplicated(order) == [told[1]]


def test_two_events_further_apart_stay_two() -> None:
    told = [happening("reopened", 0), happening("reopened", 11)]
    assert deduplicated(told) == told


def test_another_subject_is_another_event() -> None:
    told = [happening("head_moved", 0, subject="a"), happening("head_moved", 1, subject="b")]
    assert deduplicated(reversed(told)) == told


def story(*told: Happening, is_draft: bool, ended: float | None = None, updated: float = 9000) -> Drafts:
    return drafts(
        deduplicated(told),
        opened_at=NOON,
        ended_at=None if ended is None else at(ended),
        is_draft=is_draft,
        updated_at=at(updated),
    )


@pytest.mark.parametrize(
    ("told", "is_draft", "opened_as_draft", "ready"),
    [
        ((), False, False, 0),
        ((), True, True, None),
        ((happening("ready_for_review", 60),), False, True, 60),
        ((happening("converted_to_draft", 60),), True, False, 0),
        ((happening("converted_to_draft", 60), happening("ready_for_review", 90)), False, False, 0),
        ((happening("ready_for_review", 60), happening("converted_to_draft", 90)), True, True, 60),
    ],
)
def test_how_it_was_opened_is_derived(
    told: tuple[Happening, ...], is_draft: bool, opened_as_draft: bool, ready: float | None
) -> None:
    found = story(*told, is_draft=is_draft)
    assert found.is_opened_as_draft == opened_as_draft
    assert found.ready_at == (None if ready is None else at(ready))


def test_a_draft_ends_with_the_pull_request() -> None:
    assert story(is_draft=True, ended=300).intervals == (Interval(NOON, at(300)),)


def test_a_flag_that_contradicts_the_history_is_an_unreported_transition() -> None:
    reported = happening("converted_to_draft", 60)
    assert story(reported, is_draft=False, updated=200).intervals == (Interval(at(60), at(200)),)


def test_a_draft_that_still_lasts_is_open() -> None:
    told = (happening("ready_for_review", 60), happening("converted_to_draft", 90))
    assert story(*told, is_draft=True).intervals == (Interval(NOON, at(60)), Interval(at(90), None))


def closed(*told: Happening, merged: float | None = None, closed: float | None = None) -> list[Interval]:
    return closings(
        deduplicated(told),
        merged_at=None if merged is None else at(merged),
        closed_at=None if closed is None else at(closed),
        updated_at=at(9000),
    )


def test_a_merge_is_no_closing() -> None:
    assert closed(happening("closed", 60), merged=60, closed=60) == []


def test_closed_reopened_and_closed_again() -> None:
    told = (happening("closed", 60), happening("reopened", 120), happening("closed", 180))
    assert closed(*told, closed=180) == [Interval(at(60), at(120)), Interval(at(180), None)]


def test_a_closing_known_only_from_the_state_counts() -> None:
    assert closed(closed=60) == [Interval(at(60), None)]


def test_an_unreported_reopening_is_bounded_by_the_next_event() -> None:
    assert closed(happening("closed", 60), merged=600, closed=600) == [Interval(at(60), at(600))]
    assert closed(happening("closed", 60)) == [Interval(at(60), at(9000))]

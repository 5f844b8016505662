"""A history told by several sources is one story; a commit landed as a push tells, else as history lets presume."""

from datetime import datetime, timedelta
from itertools import permutations

import pytest

from apps.activity import facts
from apps.metrics.derivation.timeline import (
    Drafts,
    Happening,
    Interval,
    closings,
    deduplicated,
    drafts,
    in_queue,
    is_auto_merged,
    seconds_in_queue,
)
from apps.metrics.models import DerivedCommit, DerivedPullRequest
from apps.metrics.recalculation import drain
from tests.activity.tables import clear
from tests.metrics.comparing import assert_equals_rebuild
from tests.metrics.steps import (
    API,
    PullRequestSteps,
    Step,
    commit,
    instant,
    pushed,
    record_facts,
    record_steps,
    repository,
)

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


@pytest.mark.parametrize(
    ("moves", "seconds"),
    [
        ((), None),
        ((("dequeued", 60),), None),
        ((("enqueued", 100),), 500),
        ((("enqueued", 600),), 0),
        ((("enqueued", 601),), None),
        ((("enqueued", 100), ("dequeued", 200)), 100),
        ((("enqueued", 100), ("dequeued", 200), ("enqueued", 300)), 400),
        ((("enqueued", 100), ("enqueued", 150), ("dequeued", 200)), 100),
        ((("enqueued", 100), ("dequeued", 100)), 0),
        ((("enqueued", 100), ("dequeued", 200), ("enqueued", 200)), 500),
        ((("enqueued", 100), ("dequeued", 605)), 500),
    ],
)
def test_every_stay_in_the_merge_queue_counts_up_to_the_merge(
    moves: tuple[tuple[str, float], ...], seconds: int | None
) -> None:
    for order in permutations(moves):
        told = deduplicated(happening(kind, second) for kind, second in order)
        assert seconds_in_queue(in_queue(told, merged_at=at(600))) == seconds


@pytest.mark.parametrize(
    ("moves", "is_on"),
    [
        ((), False),
        ((("auto_merge_enabled", 100),), True),
        ((("auto_merge_enabled", 100), ("auto_merge_disabled", 200)), False),
        ((("auto_merge_enabled", 100), ("auto_merge_disabled", 200), ("auto_merge_enabled", 300)), True),
        ((("auto_merge_enabled", 700),), False),
    ],
)
def test_auto_merge_counts_if_it_was_on_at_the_merge(moves: tuple[tuple[str, float], ...], is_on: bool) -> None:
    told = deduplicated(happening(kind, second) for kind, second in moves)
    assert is_auto_merged(told, merged_at=at(600)) is is_on


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


def in_history(sha: str, presumed: str) -> Step:
    """A commit as a page of history tells it."""
    listed = facts.CommitInHistory(repository_id=API, sha=sha, presumed_landed_at=instant(presumed))
    return (repository(), commit(sha, presumed), listed)


def landing() -> object:
    return DerivedCommit.objects.get().landed_at


@pytest.mark.django_db
def test_without_a_push_a_commit_landed_when_history_lets_presume() -> None:
    record_steps([in_history("m1", "02-01 09:00")])
    assert landing() == instant("02-01 09:00")
    assert_equals_rebuild()


@pytest.mark.django_db
def test_a_push_wins_over_history_whichever_comes_first() -> None:
    push = pushed("03-02 12:00", branch="main", after="m1", commits={"m1": "02-01 09:00"})
    steps = (push, in_history("m1", "02-01 09:00"), in_history("m1", "02-01 08:00"))
    for order in permutations(steps):
        clear()
        DerivedCommit.objects.all().delete()
        for step in order:
            record_facts(*step)
            assert drain(seconds=60)
        assert landing() == instant("03-02 12:00")
        assert_equals_rebuild()


@pytest.mark.django_db
def test_a_presumed_landing_takes_no_commit_from_its_pull_request() -> None:
    """It is older than the push of the branch, as that of a commit which came with main into the branch would be."""
    tale = PullRequestSteps(1, "ana", branch="branch-1").opened("03-02 10:00", head="h1")
    branch = pushed("03-02 09:30", branch="branch-1", after="h1", commits={"h1": "03-02 09:00"})
    record_steps([*tale.steps, branch, in_history("h1", "03-02 09:00")])
    assert DerivedPullRequest.objects.get().first_commit_at == instant("03-02 09:00")
    assert_equals_rebuild()

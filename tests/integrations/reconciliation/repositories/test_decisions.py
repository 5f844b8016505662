"""Unchanged or to be read: what decides it, stream by stream. No database, no GitHub."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from apps.github.probes import ProbedStream
from apps.integrations.reconciliation.local_state import (
    Decision,
    Follow,
    LocalState,
    Read,
    Skip,
    StoredMark,
    Unchanged,
    decide,
    is_due,
    is_missing,
)
from apps.integrations.streams.commits import COMMITS
from apps.integrations.streams.deployments import DEPLOYMENTS
from apps.integrations.streams.issues import ISSUES
from apps.integrations.streams.pull_requests import PULL_REQUESTS
from apps.integrations.streams.stream import Stream
from apps.integrations.streams.workflow_runs import WORKFLOW_RUNS

NOW = datetime(2026, 3, 4, 2, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LAST = NOW - DAY
MARK = {"count": 7, "updatedAt": "2026-03-01T00:00:00Z"}
SHOWN = ProbedStream(mark=MARK, moved_at=NOW - 3 * DAY, count=7)
KEPT = LocalState(kept=StoredMark(mark=MARK, passed_at=LAST, reread_at=LAST, ours=7), ours=7)
READ = LocalState(covered=(NOW - 90 * DAY, LAST), ours=5)


def decision(
    stream: Stream = PULL_REQUESTS, *, shown: ProbedStream = SHOWN, here: LocalState = KEPT, is_due: bool = False
) -> Decision:
    return decide(stream, shown=shown, here=here, is_due=is_due, now=NOW, history=90 * DAY)


def test_the_same_mark_and_the_same_count_are_unchanged_since_the_last_pass() -> None:
    assert decision() == Unchanged(since=LAST)


@pytest.mark.parametrize(
    "shown",
    [
        replace(SHOWN, mark={**MARK, "count": 8}),
        replace(SHOWN, mark={**MARK, "count": 6}),
        replace(SHOWN, mark={**MARK, "updatedAt": "2026-03-04T01:00:00Z"}),
    ],
)
def test_with_another_mark_it_is_read_since_an_hour_before_the_last_pass(shown: ProbedStream) -> None:
    assert decision(shown=shown) == Read(since=LAST - HOUR)


def test_with_another_count_of_ours_it_is_read() -> None:
    assert decision(here=replace(KEPT, ours=6)) == Read(since=LAST - HOUR)


def test_commits_are_read_since_two_weeks_before_as_branches_land_with_older_ones() -> None:
    shown = ProbedStream(mark={"head": "b"}, moved_at=NOW)
    here = LocalState(kept=StoredMark(mark={"head": "a"}, passed_at=LAST, reread_at=LAST))
    assert decision(COMMITS, shown=shown, here=here) == Read(since=LAST - 14 * DAY)


def test_without_a_mark_a_stream_that_moved_before_its_history_was_read_is_unchanged() -> None:
    assert decision(here=READ) == Unchanged(since=LAST)
    assert decision(here=READ, shown=ProbedStream(mark={"count": 0}, moved_at=None, count=0)) == Unchanged(since=LAST)


def test_without_a_mark_a_stream_that_moved_since_its_history_was_read_is_read() -> None:
    assert decision(here=READ, shown=replace(SHOWN, moved_at=LAST - HOUR / 2)) == Read(since=LAST - HOUR)


def test_a_whole_history_has_to_be_as_long_as_githubs() -> None:
    whole = replace(READ, is_whole=True)
    assert decision(here=whole) == Read(since=LAST - HOUR)
    assert decision(here=replace(whole, ours=7)) == Unchanged(since=LAST)


def test_an_unknown_stream_is_read_as_far_back_as_history_is() -> None:
    assert decision(here=LocalState(ours=7)) == Read(since=NOW - 90 * DAY)


def test_an_unfinished_backfill_comes_first_and_a_paused_one_is_left_alone() -> None:
    assert decision(here=replace(KEPT, is_being_read=True)) == Follow()
    assert decision(here=replace(KEPT, is_paused=True)) == Skip()


@pytest.mark.parametrize(
    ("open_for", "is_due", "since"),
    [(2 * DAY, False, 2 * DAY), (HOUR, False, DAY + HOUR), (20 * DAY, False, None), (20 * DAY, True, 20 * DAY)],
)
def test_deployments_that_are_not_over_are_read_every_night_for_a_week_and_weekly_for_a_month(
    open_for: timedelta, is_due: bool, since: timedelta | None
) -> None:
    found = decision(DEPLOYMENTS, here=replace(KEPT, open_since=NOW - open_for), is_due=is_due)
    assert found == (Read(since=NOW - since, is_reread=is_due) if since else Unchanged(since=LAST))


def test_runs_are_read_wherever_there_are_any_and_those_of_a_month_every_week() -> None:
    shown = ProbedStream(mark={"pushed_at": None}, moved_at=None)
    none = LocalState(kept=StoredMark(mark={"pushed_at": None}, passed_at=LAST, reread_at=LAST))
    assert decision(WORKFLOW_RUNS, shown=shown, here=none, is_due=True) == Unchanged(since=LAST)
    some = replace(none, has_any=True)
    assert decision(WORKFLOW_RUNS, shown=shown, here=some) == Read(since=LAST - HOUR)
    assert decision(WORKFLOW_RUNS, shown=shown, here=some, is_due=True) == Read(since=NOW - 30 * DAY, is_reread=True)
    still = replace(some, open_since=NOW - 5 * DAY)
    assert decision(WORKFLOW_RUNS, shown=shown, here=still) == Read(since=NOW - 5 * DAY)


def test_each_repository_is_due_once_a_week_and_a_missed_one_is_made_up() -> None:
    for repository_id in range(14):
        nights = [NOW + day * DAY for day in range(7)]
        turns = [night for night in nights if is_due(repository_id, reread_at=NOW - DAY, now=night)]
        assert len(turns) == 1
        assert not is_due(repository_id, reread_at=turns[0], now=turns[0] + HOUR)
        assert is_due(repository_id, reread_at=NOW - 8 * DAY, now=NOW)
    assert is_due(1, reread_at=None, now=NOW)


def test_rows_are_missing_if_githubs_count_grew_and_ours_did_not() -> None:
    assert not is_missing(7, here=KEPT)
    assert is_missing(8, here=KEPT)
    assert not is_missing(8, here=replace(KEPT, ours=8))
    partly = LocalState(kept=StoredMark(mark=MARK, passed_at=LAST, reread_at=LAST, ours=4), ours=4)
    assert not is_missing(7, here=partly)
    assert is_missing(8, here=partly)
    assert is_missing(7, here=LocalState(is_whole=True, ours=6))
    assert not is_missing(7, here=LocalState(ours=6)), "of a part of the history a count proves nothing"
    assert not is_missing(None, here=LocalState(is_whole=True, ours=6)), "streams that GitHub does not count"
    assert not is_missing(
        6, here=LocalState(kept=StoredMark(mark={"count": 6}, passed_at=LAST, reread_at=None, ours=7), ours=7)
    )


def test_issues_are_decided_like_pull_requests() -> None:
    assert decision(ISSUES) == Unchanged(since=LAST)

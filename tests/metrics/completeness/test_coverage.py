"""Up to when a repository is complete, and where it has holes, by what was read and what GitHub's log bears out."""

import pytest

from apps.activity.models import Repository, RepositoryAccess
from apps.integrations.streams import STREAM_NAMES
from apps.metrics.completeness import OF_FIGURES, every_stream
from tests.metrics.completeness.known import API, WEB, completeness, gaps, hour, log_scanned, reached, read, until

pytestmark = pytest.mark.django_db
OTHERS = tuple(stream for stream in STREAM_NAMES if stream != "workflow_runs")


@pytest.fixture(autouse=True)
def repository() -> Repository:
    return reached()


def test_figures_are_read_from_streams_that_are_registered() -> None:
    assert every_stream() == STREAM_NAMES
    assert set(OF_FIGURES) <= set(STREAM_NAMES)


def test_history_that_was_never_read_is_unverified_and_has_no_gaps() -> None:
    log_scanned(0, 100)
    assert (until(completeness()), gaps(completeness(start_h=0))) == (None, [])
    assert completeness().unread == STREAM_NAMES


def test_one_stream_that_was_never_read_is_enough_to_be_unverified() -> None:
    read(0, 10, streams=OTHERS)
    assert until(completeness()) is None
    assert (completeness().unread, completeness().unread_repository_ids) == (("workflow_runs",), (API,))
    assert until(completeness(streams=OTHERS)) == 10


def test_one_repository_that_was_never_read_makes_its_team_unverified() -> None:
    reached(WEB)
    read(0, 10)
    assert (until(completeness(API)), until(completeness(API, WEB))) == (10, None)
    assert completeness(API, WEB).unread_repository_ids == (WEB,)
    read(0, 5, WEB)
    assert until(completeness(API, WEB)) == 5


def test_it_is_complete_up_to_the_least_of_its_streams() -> None:
    read(0, 10)
    read(10, 20, streams=OTHERS)
    assert until(completeness()) == 10
    assert until(completeness(streams=OTHERS)) == 20


def test_the_log_continues_the_coverage_of_a_backfill() -> None:
    read(0, 10)
    log_scanned(5, 30)
    assert (until(completeness()), gaps(completeness())) == (30, [])


def test_the_log_says_nothing_of_the_time_before_reading_began() -> None:
    read(20, 21)
    log_scanned(0, 30)
    assert gaps(completeness(start_h=0)) == [("history", 0, 20)]


def test_a_window_has_a_gap_before_the_first_that_was_read_and_none_after_it_began() -> None:
    read(20, 30)
    assert gaps(completeness(start_h=5)) == [("history", 5, 20)]
    assert gaps(completeness(start_h=5, end_h=10)) == [("history", 5, 10)]
    assert gaps(completeness(start_h=20)) == []
    assert gaps(completeness()) == []


def test_before_a_repository_was_made_nothing_is_missing() -> None:
    Repository.objects.update(created_at=hour(15))
    read(20, 30)
    assert gaps(completeness(start_h=5)) == [("history", 15, 20)]


def test_what_neither_was_read_nor_is_in_the_log_is_a_gap_until_it_is_read() -> None:
    read(0, 10)
    log_scanned(9, 20)
    log_scanned(50, 70)
    assert (until(completeness()), gaps(completeness(start_h=0))) == (70, [("unread", 20, 50)])
    read(19, 60, streams=OTHERS)
    assert completeness(start_h=0).gaps[0].streams == ("workflow_runs",)
    assert gaps(completeness(start_h=0, streams=OTHERS)) == []
    read(19, 60)
    assert (until(completeness()), gaps(completeness(start_h=0))) == (70, [])


def test_later_than_complete_until_nothing_is_a_gap() -> None:
    read(0, 10)
    assert gaps(completeness(start_h=0, end_h=500)) == []
    assert gaps(completeness(start_h=200, end_h=500)) == []


def test_a_hole_shows_only_in_windows_that_hold_some_of_it() -> None:
    read(0, 10)
    read(20, 30)
    assert gaps(completeness(start_h=0, end_h=10)) == []
    assert gaps(completeness(start_h=12, end_h=14)) == [("unread", 12, 14)]
    assert gaps(completeness(start_h=20, end_h=40)) == []


def test_a_pass_without_length_says_up_to_when_and_covers_nothing() -> None:
    read(10, 10)
    assert (until(completeness()), gaps(completeness(start_h=5))) == (10, [("history", 5, 10)])
    read(20, 20)
    assert (until(completeness()), gaps(completeness())) == (20, [("unread", 10, 20)])


def test_the_log_says_nothing_of_a_repository_that_no_installation_was_ever_given() -> None:
    read(0, 10)
    log_scanned(0, 30)
    RepositoryAccess.objects.all().delete()
    assert until(completeness()) == 10


def test_what_was_deleted_is_left_out() -> None:
    Repository.objects.update(deleted_at=hour(1))
    assert until(completeness()) is None
    assert not completeness().has_repositories

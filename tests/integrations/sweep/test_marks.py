"""How far the log was walked, what that proves, and what it does not."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import pytest

from apps.demo.organisation import Sent
from apps.integrations.delivery_log import scan, scan_job
from apps.integrations.delivery_log.scan_health import scan_problems
from apps.integrations.delivery_log.scan_run import ScanRun
from apps.integrations.models import DeliveryLogScan, MissedDelivery
from tests.fake_github import faults
from tests.fake_github.answering import Answered, Asked
from tests.fake_github.delivery_log import DeliveryLog
from tests.fake_github.faults import Fault
from tests.fake_github.server import FakeGitHub
from tests.integrations.sweep.sweeper import LIST, Sweeper, covered, inbox, missed

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def later_pages(asked: Asked) -> bool:
    return asked.path == LIST and "cursor" in asked.query


def first_page(asked: Asked) -> bool:
    return asked.path == LIST and "cursor" not in asked.query


def pages(fake: FakeGitHub) -> int:
    return sum(call.path == LIST for call in fake.log)


def is_about(moment: datetime | None, expected: datetime) -> bool:
    return moment is not None and abs(moment - expected) < timedelta(minutes=2)


def lose(log: DeliveryLog, sents: list[Sent]) -> None:
    with log.outage():
        log.deliver(sents)


@pytest.mark.proof
def test_the_mark_moves_only_when_the_log_was_walked_whole(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    log.deliver(told[:250])
    fake.spoil(Fault(faults.status(500), later_pages, times=1))
    broken_off = sweeper.turn()
    assert broken_off is not None
    assert (broken_off.mark, broken_off.read_at, broken_off.reason) == (None, None, "unanswered")
    assert broken_off.cursor
    assert covered() == []
    sweeper.wait(minutes=10)
    began_at = broken_off.began_at
    whole = sweeper.sweep()
    assert began_at is not None
    assert whole.mark == began_at - HOUR
    assert pages(fake) == 4, "it went on where it was, and read the second page again"


@pytest.mark.proof
def test_a_walk_is_gone_on_with_by_the_next_task(
    told: list[Sent], log: DeliveryLog, sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose(log, told[:250])
    monkeypatch.setattr(scan_job, "why_not_now", lambda: "")
    marks = []
    for _ in range(3):
        page = iter([False, True, True])
        monkeypatch.setattr(ScanRun, "is_over", property(lambda self, page=page: next(page, True)))
        row = sweeper.turn()
        assert row is not None
        marks.append(row.mark)
        if row.mark is None:
            assert row.goes_on
    monkeypatch.undo()
    assert [mark is None for mark in marks] == [True, True, False]
    sweeper.sweep()
    assert inbox() == {sent.guid for sent in told[:250]}


@pytest.mark.proof
def test_the_next_walk_goes_down_to_the_mark_and_no_further(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    log.deliver(told[:400])
    sweeper.sweep()
    assert pages(fake) == 4
    sweeper.wait(hours=5)
    log.deliver(told[400:410])
    sweeper.sweep()
    sweeper.wait(hours=5)
    before = pages(fake)
    log.deliver(told[410:420])
    sweeper.sweep()
    assert pages(fake) - before == 2, "the page that straddles the mark, and the one that shows it is passed"


@pytest.mark.proof
def test_what_failed_within_the_hour_before_a_walk_and_was_shown_late_is_found(
    told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    log.deliver(told[:2])
    sweeper.sweep()
    sweeper.wait(minutes=16)
    lose(log, told[2:152])
    for attempt in log.attempts[2:]:
        attempt.at -= timedelta(minutes=30)
    sweeper.sweep()
    assert inbox() == {sent.guid for sent in told[:152]}


@pytest.mark.proof
@pytest.mark.parametrize("refusal", [422, 404])
def test_where_github_refuses_the_cursor_the_walk_begins_again(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper, refusal: int
) -> None:
    lose(log, told[:150])
    fake.spoil(Fault(faults.status(refusal, {"message": "Invalid cursor"}), later_pages, times=1))
    row = sweeper.sweep()
    assert row.mark is not None
    assert inbox() == {sent.guid for sent in told[:150]}
    assert missed() == {("kept", "fetched"): 150}


@pytest.mark.proof
def test_a_cursor_that_is_refused_again_and_again_is_waited_for_and_begun_anew(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    lose(log, told[:150])
    fake.spoil(Fault(faults.status(422, {"message": "Invalid cursor"}), later_pages, times=scan.MOST_RESTARTS))
    row = sweeper.turn()
    assert row is not None
    assert (row.reason, row.cursor, row.mark) == ("rejected", "", None)
    sweeper.wait(minutes=20)
    assert sweeper.sweep().mark is not None


@pytest.mark.proof
def test_what_comes_on_top_while_the_log_is_walked_is_for_the_next_walk(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    lose(log, told[:250])

    def meanwhile(asked: Asked, answer: Answered) -> Answered:
        lose(log, told[250:260])
        return answer

    fake.spoil(Fault(meanwhile, later_pages, times=1, is_instead=False))
    sweeper.sweep()
    assert inbox() == {sent.guid for sent in told[:250]}
    sweeper.wait(minutes=16)
    sweeper.sweep()
    assert inbox() == {sent.guid for sent in told[:260]}


def test_covered_is_what_the_log_held_up_to_an_hour_before_the_walk(
    told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    began_at = sweeper.now()
    log.deliver(told[:3])
    sweeper.wait(hours=5)
    sweeper.sweep()
    [(from_at, to_at)] = covered()
    assert is_about(from_at, began_at)
    assert is_about(to_at, began_at + timedelta(hours=4))
    sweeper.wait(hours=2)
    sweeper.sweep()
    [(from_at, to_at)] = covered()
    assert is_about(from_at, began_at)
    assert is_about(to_at, began_at + timedelta(hours=6))


def test_nothing_is_covered_over_what_is_still_missing_until_it_is_here(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    log.deliver(told[:1])
    sweeper.wait(hours=5)
    lost_at = sweeper.now()
    lose(log, told[1:2])
    sweeper.wait(hours=5)
    fake.spoil(Fault(faults.status(500), faults.below(f"{LIST}/2"), times=None))
    log.deliver(told[2:3])
    sweeper.sweep()
    [(_, to_at)] = covered()
    assert is_about(to_at, lost_at - HOUR)
    fake.faults.clear()
    sweeper.wait(hours=1)
    row = sweeper.sweep()
    [(_, to_at)] = covered()
    assert to_at == row.mark


def test_what_was_given_up_leaves_a_gap(fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper) -> None:
    log.deliver(told[:1])
    sweeper.wait(hours=5)
    lost_at = sweeper.now()
    lose(log, told[1:2])
    sweeper.wait(hours=5)
    log.deliver(told[2:3])
    fake.spoil(Fault(faults.status(404, {"message": "Not Found"}), faults.below(f"{LIST}/2"), times=None))
    row = sweeper.sweep()
    (_, before), (after, to_at) = covered()
    assert is_about(before, lost_at - HOUR)
    assert is_about(after, lost_at)
    assert to_at == row.mark


def test_what_has_no_effect_is_no_gap(fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper) -> None:
    log.deliver(told[:1])
    sweeper.wait(hours=5)
    ignored = Sent("check_run", {"action": "created"}, told[1].at, told[1].guid)
    lose(log, [ignored])
    sweeper.wait(hours=5)
    log.deliver(told[2:3])
    fake.spoil(Fault(faults.status(404, {"message": "Not Found"}), faults.below(f"{LIST}/2"), times=None))
    sweeper.sweep()
    assert MissedDelivery.objects.get().state == "given_up"
    assert len(covered()) == 1


def test_where_the_log_no_longer_reaches_down_to_the_mark_somebody_is_told_and_the_hole_is_not_covered(
    told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    log.deliver(told[:3])
    sweeper.wait(hours=2)
    mark = sweeper.sweep().mark
    assert mark is not None
    lose(log, told[3:6])
    sweeper.wait(days=4)
    lose(log, told[6:8])
    sweeper.wait(hours=2)
    row = sweeper.sweep()
    assert inbox() == {sent.guid for sent in (*told[:3], *told[6:8])}
    assert row.truncated_from == mark
    assert is_about(row.truncated_to, sweeper.now() - timedelta(days=3) + HOUR)
    (_, before), (after, to_at) = covered()
    assert (before, after, to_at) == (mark, row.truncated_to, row.mark)
    assert "no longer in its log" in scan_problems()["delivery_log_truncated"]


def test_a_quiet_log_that_is_young_enough_is_not_truncated(
    told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    """GitHub has everything of three days, so that nothing is there means that nothing was."""
    sweeper.sweep()
    sweeper.wait(days=2)
    log.deliver(told[:1])
    row = sweeper.sweep()
    assert row.truncated_at is None
    assert len(covered()) == 1


def test_the_first_walk_ever_covers_from_the_oldest_entry_on(
    told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    log.deliver(told[:1])
    sweeper.wait(days=1)
    row = sweeper.sweep()
    assert (row.truncated_at, scan_problems()) == (None, {})
    [(from_at, _)] = covered()
    assert is_about(from_at, sweeper.now() - timedelta(days=1))


@pytest.mark.proof
def test_an_old_entry_among_new_ones_does_not_end_the_walk(
    told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    sweeper.sweep()
    sweeper.wait(hours=5)
    lose(log, told[:150])
    log.deliver(told[150:151])
    log.attempts[-1].at -= timedelta(days=1)
    sweeper.sweep()
    assert inbox() == {sent.guid for sent in told[:151]}


def test_before_the_own_hook_is_known_nothing_is_judged(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    lose(log, told[:5])
    fake.spoil(Fault(faults.status(404, {"message": "Not Found"}), faults.below(f"{LIST}/"), times=None))
    row = sweeper.turn()
    assert row is not None
    assert (row.reason, row.mark, missed()) == ("hook_unknown", None, {})
    fake.faults.clear()
    sweeper.wait(minutes=20)
    sweeper.sweep()
    assert inbox() == {sent.guid for sent in told[:5]}
    assert DeliveryLogScan.objects.get().hook_id == log.hook_id


def test_a_log_without_an_end_is_given_up_and_the_row_says_so(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    lose(log, told[:3])
    numbers = count(1)

    def first_page_for_ever(asked: Asked) -> Answered | None:
        answer = log.answer(replace(asked, query={"per_page": "100"}))
        if answer is not None and asked.path == "/app/hook/deliveries":
            answer.headers["link"] = f'<{fake.url}{asked.path}?per_page=100&cursor=v1_{next(numbers)}>; rel="next"'
        return answer

    fake.app.extensions.insert(0, first_page_for_ever)
    row = sweeper.turn()
    assert row is not None
    assert "goes on without another delivery" in row.error
    assert next(numbers) <= scan.MOST_PAGES_WITHOUT_NEWS + 2

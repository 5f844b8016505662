"""How far the log was read, what that proves, and what it does not."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import pytest

from apps.demo.scenario import Sent
from apps.integrations.delivery_log import scan, scan_job
from apps.integrations.delivery_log.scan import ScanRun
from apps.integrations.models import DeliveryLogScan, MissedDelivery
from apps.integrations.work_problems import scan_problems
from tests.fake_github import faults
from tests.fake_github.delivery_log import DeliveryLog
from tests.fake_github.faults import Answered, Asked, Fault
from tests.fake_github.server import FakeGitHub
from tests.integrations.delivery_log.scanner import LIST, Scanner, covered, inbox, missed

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
def test_the_mark_moves_only_when_the_log_was_read_whole(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    log.deliver(deliveries[:250])
    fake.spoil(Fault(faults.status(500), later_pages, times=1))
    broken_off = scanner.run_task()
    assert broken_off is not None
    assert (broken_off.mark, broken_off.read_at, broken_off.reason) == (None, None, "unanswered")
    assert broken_off.cursor
    assert covered() == []
    scanner.wait(minutes=10)
    began_at = broken_off.began_at
    whole = scanner.scan()
    assert began_at is not None
    assert whole.mark == began_at - HOUR
    assert pages(fake) == 4, "it went on where it was, and read the second page again"


@pytest.mark.proof
def test_the_next_task_continues_a_scan(
    deliveries: list[Sent], log: DeliveryLog, scanner: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose(log, deliveries[:250])
    monkeypatch.setattr(scan_job, "why_not_now", lambda: "")
    marks = []
    for _ in range(3):
        page = iter([False, True, True])
        monkeypatch.setattr(ScanRun, "is_over", property(lambda self, page=page: next(page, True)))
        row = scanner.run_task()
        assert row is not None
        marks.append(row.mark)
        if row.mark is None:
            assert row.goes_on
    monkeypatch.undo()
    assert [mark is None for mark in marks] == [True, True, False]
    scanner.scan()
    assert inbox() == {sent.guid for sent in deliveries[:250]}


@pytest.mark.proof
def test_the_next_scan_reads_down_to_the_mark_and_no_further(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    log.deliver(deliveries[:400])
    scanner.scan()
    assert pages(fake) == 4
    scanner.wait(hours=5)
    log.deliver(deliveries[400:410])
    scanner.scan()
    scanner.wait(hours=5)
    before = pages(fake)
    log.deliver(deliveries[410:420])
    scanner.scan()
    assert pages(fake) - before == 2, "the page that straddles the mark, and the one that shows it is passed"


@pytest.mark.proof
def test_a_delivery_that_github_listed_late_is_found_by_the_next_scan(
    deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    log.deliver(deliveries[:2])
    scanner.scan()
    scanner.wait(minutes=16)
    lose(log, deliveries[2:152])
    for attempt in log.attempts[2:]:
        attempt.at -= timedelta(minutes=30)
    scanner.scan()
    assert inbox() == {sent.guid for sent in deliveries[:152]}


@pytest.mark.proof
@pytest.mark.parametrize("refusal", [422, 404])
def test_a_scan_whose_cursor_github_refuses_begins_again(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner, refusal: int
) -> None:
    lose(log, deliveries[:150])
    fake.spoil(Fault(faults.status(refusal, {"message": "Invalid cursor"}), later_pages, times=1))
    row = scanner.scan()
    assert row.mark is not None
    assert inbox() == {sent.guid for sent in deliveries[:150]}
    assert missed() == {("kept", "fetched"): 150}


@pytest.mark.proof
def test_a_scan_whose_cursor_is_refused_again_and_again_waits_and_begins_anew(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    lose(log, deliveries[:150])
    fake.spoil(Fault(faults.status(422, {"message": "Invalid cursor"}), later_pages, times=scan.MOST_RESTARTS))
    row = scanner.run_task()
    assert row is not None
    assert (row.reason, row.cursor, row.mark) == ("rejected", "", None)
    scanner.wait(minutes=20)
    assert scanner.scan().mark is not None


@pytest.mark.proof
def test_entries_added_during_a_scan_are_left_for_the_next(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    lose(log, deliveries[:250])

    def meanwhile(asked: Asked, answer: Answered) -> Answered:
        lose(log, deliveries[250:260])
        return answer

    fake.spoil(Fault(meanwhile, later_pages, times=1, is_instead=False))
    scanner.scan()
    assert inbox() == {sent.guid for sent in deliveries[:250]}
    scanner.wait(minutes=16)
    scanner.scan()
    assert inbox() == {sent.guid for sent in deliveries[:260]}


def test_a_scan_covers_the_log_up_to_an_hour_before_it_began(
    deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    began_at = scanner.now()
    log.deliver(deliveries[:3])
    scanner.wait(hours=5)
    scanner.scan()
    [(from_at, to_at)] = covered()
    assert is_about(from_at, began_at)
    assert is_about(to_at, began_at + timedelta(hours=4))
    scanner.wait(hours=2)
    scanner.scan()
    [(from_at, to_at)] = covered()
    assert is_about(from_at, began_at)
    assert is_about(to_at, began_at + timedelta(hours=6))


def test_coverage_stops_before_a_missing_delivery_until_it_is_here(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    log.deliver(deliveries[:1])
    scanner.wait(hours=5)
    lost_at = scanner.now()
    lose(log, deliveries[1:2])
    scanner.wait(hours=5)
    fake.spoil(Fault(faults.status(500), faults.below(f"{LIST}/2"), times=None))
    log.deliver(deliveries[2:3])
    scanner.scan()
    [(_, to_at)] = covered()
    assert is_about(to_at, lost_at - HOUR)
    fake.faults.clear()
    scanner.wait(hours=1)
    row = scanner.scan()
    [(_, to_at)] = covered()
    assert to_at == row.mark


def test_a_delivery_that_was_given_up_leaves_a_gap(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    log.deliver(deliveries[:1])
    scanner.wait(hours=5)
    lost_at = scanner.now()
    lose(log, deliveries[1:2])
    scanner.wait(hours=5)
    log.deliver(deliveries[2:3])
    fake.spoil(Fault(faults.status(404, {"message": "Not Found"}), faults.below(f"{LIST}/2"), times=None))
    row = scanner.scan()
    (_, before), (after, to_at) = covered()
    assert is_about(before, lost_at - HOUR)
    assert is_about(after, lost_at)
    assert to_at == row.mark


def test_a_delivery_without_effect_leaves_no_gap(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    log.deliver(deliveries[:1])
    scanner.wait(hours=5)
    ignored = Sent("check_run", {"action": "created"}, deliveries[1].at, deliveries[1].guid)
    lose(log, [ignored])
    scanner.wait(hours=5)
    log.deliver(deliveries[2:3])
    fake.spoil(Fault(faults.status(404, {"message": "Not Found"}), faults.below(f"{LIST}/2"), times=None))
    scanner.scan()
    assert MissedDelivery.objects.get().state == "given_up"
    assert len(covered()) == 1


def test_a_log_that_does_not_reach_down_to_the_mark_is_a_problem_and_leaves_a_gap(
    deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    log.deliver(deliveries[:3])
    scanner.wait(hours=2)
    mark = scanner.scan().mark
    assert mark is not None
    lose(log, deliveries[3:6])
    scanner.wait(days=4)
    lose(log, deliveries[6:8])
    scanner.wait(hours=2)
    row = scanner.scan()
    assert inbox() == {sent.guid for sent in (*deliveries[:3], *deliveries[6:8])}
    assert row.truncated_from == mark
    assert is_about(row.truncated_to, scanner.now() - timedelta(days=3) + HOUR)
    (_, before), (after, to_at) = covered()
    assert (before, after, to_at) == (mark, row.truncated_to, row.mark)
    assert "no longer in its log" in scan_problems()["delivery_log_truncated"]


def test_a_log_without_old_entries_is_not_truncated_within_three_days(
    deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    """GitHub has everything of three days, so that nothing is there means that nothing was."""
    scanner.scan()
    scanner.wait(days=2)
    log.deliver(deliveries[:1])
    row = scanner.scan()
    assert row.truncated_at is None
    assert len(covered()) == 1


def test_the_first_scan_ever_covers_from_the_oldest_entry_on(
    deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    log.deliver(deliveries[:1])
    scanner.wait(days=1)
    row = scanner.scan()
    assert (row.truncated_at, scan_problems()) == (None, {})
    [(from_at, _)] = covered()
    assert is_about(from_at, scanner.now() - timedelta(days=1))


@pytest.mark.proof
def test_an_old_entry_among_new_ones_does_not_end_the_scan(
    deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    scanner.scan()
    scanner.wait(hours=5)
    lose(log, deliveries[:150])
    log.deliver(deliveries[150:151])
    log.attempts[-1].at -= timedelta(days=1)
    scanner.scan()
    assert inbox() == {sent.guid for sent in deliveries[:151]}


def test_nothing_is_recorded_as_missing_before_the_own_hook_is_known(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    lose(log, deliveries[:5])
    fake.spoil(Fault(faults.status(404, {"message": "Not Found"}), faults.below(f"{LIST}/"), times=None))
    row = scanner.run_task()
    assert row is not None
    assert (row.reason, row.mark, missed()) == ("hook_unknown", None, {})
    fake.faults.clear()
    scanner.wait(minutes=20)
    scanner.scan()
    assert inbox() == {sent.guid for sent in deliveries[:5]}
    assert DeliveryLogScan.objects.get().hook_id == log.hook_id


def test_a_log_without_an_end_stops_the_scan_with_an_error(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    lose(log, deliveries[:3])
    numbers = count(1)

    def first_page_for_ever(asked: Asked) -> Answered | None:
        answer = log.answer(replace(asked, query={"per_page": "100"}))
        if answer is not None and asked.path == "/app/hook/deliveries":
            answer.headers["link"] = f'<{fake.url}{asked.path}?per_page=100&cursor=v1_{next(numbers)}>; rel="next"'
        return answer

    fake.app.extensions.insert(0, first_page_for_ever)
    row = scanner.run_task()
    assert row is not None
    assert "goes on without another delivery" in row.error
    assert next(numbers) <= scan.MOST_PAGES_WITHOUT_NEWS + 2

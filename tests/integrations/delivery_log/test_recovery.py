"""Recovering missed deliveries: the two ways, what each ends in, and how often it is tried."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import override_settings

from apps.demo.scenario import Sent
from apps.integrations.delivery_log import entries as github_log
from apps.integrations.delivery_log import scan
from apps.integrations.delivery_log.scan import FETCH_PAUSES, REDELIVERY_PAUSES
from apps.integrations.delivery_log.scan_job import open_scan
from apps.integrations.models import MissedDelivery
from apps.webhooks.models import Delivery
from tests.fake_github import faults
from tests.fake_github.delivery_log import DeliveryLog
from tests.fake_github.faults import Answered, Asked, Fault
from tests.fake_github.server import FakeGitHub
from tests.integrations.delivery_log.scanner import LIST, Scanner, inbox, missed

pytestmark = pytest.mark.django_db
by_redelivery = override_settings(SCAN_REDELIVERS=True)


def calls(fake: FakeGitHub, method: str) -> list[str]:
    return [call.path for call in fake.log if call.method == method]


def fetching(asked: Asked) -> bool:
    return asked.method == "GET" and asked.path.startswith(f"{LIST}/")


def lose(log: DeliveryLog, sents: list[Sent]) -> None:
    with log.outage():
        log.deliver(sents)


@by_redelivery
def test_with_the_setting_github_is_asked_to_deliver_again_to_the_receiver(
    deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    lose(log, deliveries[:3])
    scanner.scan()
    assert missed() == {("asked", ""): 3}
    assert inbox() == set()
    assert log.catch_up() == 3
    scanner.wait(minutes=3)
    scanner.scan()
    assert missed() == {("kept", "redelivered"): 3}
    assert set(Delivery.objects.values_list("source", flat=True)) == {Delivery.Source.WEBHOOK}


@by_redelivery
def test_a_redelivery_that_does_not_arrive_is_asked_for_later_each_time_and_then_fetched(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    lose(log, deliveries[:1])
    scanner.scan()
    for number, pause in enumerate(REDELIVERY_PAUSES, start=1):
        with log.outage():
            log.catch_up()
        assert len(calls(fake, "POST")) == number
        scanner.wait(minutes=1)
        scanner.run_task()
        assert len(calls(fake, "POST")) == number, "it is not asked for again so soon"
        scanner.wait(seconds=pause.total_seconds())
        scanner.scan()
    assert len(calls(fake, "POST")) == len(REDELIVERY_PAUSES)
    assert missed() == {("kept", "fetched"): 1}


@by_redelivery
def test_a_receiver_that_is_still_away_gets_few_redeliveries_at_once(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "MOST_UNDER_WAY", 5)
    lose(log, deliveries[:12])
    scanner.scan()
    assert len(calls(fake, "POST")) == 5
    with log.outage():
        log.catch_up()
    scanner.wait(seconds=40)
    scanner.scan()
    assert len(calls(fake, "POST")) == 5, "those five may still come"
    scanner.wait(minutes=2)
    log.catch_up()
    scanner.scan()
    assert len(calls(fake, "POST")) == 10


@by_redelivery
def test_without_a_webhook_secret_nothing_is_asked_for(
    deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    lose(log, deliveries[:1])
    with override_settings(GITHUB_WEBHOOK_SECRETS=[]):
        row = scanner.run_task()
    assert row is not None
    assert (row.reason, missed()) == ("no_webhook_secret", {})


@by_redelivery
def test_a_redelivery_that_github_accepts_without_a_word_is_accepted(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    def without_body(asked: Asked, answer: Answered) -> Answered:
        return Answered(202, None, dict(answer.headers))

    fake.spoil(Fault(without_body, lambda asked: asked.method == "POST", is_instead=False))
    lose(log, deliveries[:1])
    scanner.scan()
    assert missed() == {("asked", ""): 1}


def test_a_missed_delivery_that_arrives_by_itself_is_noted_as_arrived(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    """Somebody has it redelivered by hand."""
    lose(log, deliveries[:1])
    log.deliver(deliveries[1:2])
    fake.spoil(Fault(faults.status(500), faults.below(f"{LIST}/1"), times=None))
    scanner.scan()
    assert missed() == {("waiting", ""): 1}
    log.deliver(deliveries[:1])
    scanner.wait(minutes=16)
    scanner.scan()
    assert missed() == {("kept", "arrived"): 1}


def test_a_delivery_that_github_shows_without_its_payload_is_redelivered(
    deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    lose(log, deliveries[:2])
    log.without_payload.add(deliveries[0].guid)
    scanner.scan()
    assert missed() == {("kept", "fetched"): 1, ("asked", ""): 1}
    log.catch_up()
    scanner.wait(minutes=3)
    scanner.scan()
    assert missed() == {("kept", "fetched"): 1, ("kept", "redelivered"): 1}


def test_a_delivery_that_is_too_large_is_redelivered_and_then_given_up(
    deliveries: list[Sent], log: DeliveryLog, scanner: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github_log, "LARGEST_BODY", 1000)
    lose(log, deliveries[:1])
    scanner.scan()
    for pause in REDELIVERY_PAUSES:
        with log.outage():
            log.catch_up()
        scanner.wait(seconds=pause.total_seconds() + 1)
        scanner.scan()
    row = MissedDelivery.objects.get()
    assert (row.state, row.reason, row.asks) == ("given_up", "not_delivered", len(REDELIVERY_PAUSES))


def test_a_delivery_that_the_log_has_no_more_is_given_up(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    """GitHub forgets it between the list and the question."""
    lose(log, deliveries[:2])
    gone = f"{LIST}/1"
    fake.spoil(Fault(faults.status(404, {"message": "Not Found"}), faults.below(gone), times=None))
    scanner.scan()
    row = MissedDelivery.objects.get(log_id=1)
    assert (row.state, row.reason, row.error) == ("given_up", "gone", "Not Found")
    assert missed()["kept", "fetched"] == 1


def test_a_delivery_that_was_given_up_is_tried_again_after_a_manual_redelivery(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    lose(log, deliveries[:1])
    log.deliver(deliveries[1:2])
    fake.spoil(Fault(faults.status(404, {"message": "Not Found"}), faults.below(f"{LIST}/1"), times=None))
    scanner.scan()
    assert missed() == {("given_up", ""): 1}
    lose(log, deliveries[:1])
    scanner.wait(minutes=16)
    scanner.scan()
    assert missed() == {("kept", "fetched"): 1}


def change(**request: Any) -> Callable[[Asked, Answered], Answered]:
    def changed(asked: Asked, answer: Answered) -> Answered:
        answer.body["request"] |= request
        return answer

    return changed


@pytest.mark.parametrize(
    ("request_shown", "reason"),
    [
        ({"payload": {}}, "no_payload"),
        ({"payload": "a string"}, "no_payload"),
        ({"headers": {"x-github-hook-id": "292430182", "x-github-delivery": "no GUID"}}, "malformed_header"),
        (
            {"headers": {"x-github-hook-id": "292430182", "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958"}},
            "other_delivery",
        ),
    ],
)
def test_a_detail_that_is_no_valid_delivery_is_not_stored(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner, *, request_shown: Any, reason: str
) -> None:
    lose(log, deliveries[:1])
    fake.spoil(Fault(change(**request_shown), fetching, times=None, is_instead=False))
    scanner.scan()
    row = MissedDelivery.objects.get()
    assert (row.state, row.reason, row.uses_fallback) == ("asked", reason, True)
    assert inbox() == set()


def test_headers_that_github_does_not_show_are_taken_from_the_list_entry(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    log.deliver(deliveries[:1])
    scanner.scan()
    lose(log, deliveries[1:2])
    fake.spoil(Fault(change(headers=None), fetching, times=None, is_instead=False))
    scanner.wait(minutes=16)
    scanner.scan()
    assert set(Delivery.objects.values_list("hook_id", flat=True)) == {log.hook_id}
    assert inbox() == {sent.guid for sent in deliveries[:2]}


def test_a_delivery_that_github_does_not_show_is_retried_later_and_does_not_block_others(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    lose(log, deliveries[:4])
    path = f"{LIST}/2"
    fake.spoil(Fault(faults.status(500), lambda asked: asked.path == path, times=None))
    row = scanner.scan()
    assert missed() == {("kept", "fetched"): 3, ("waiting", ""): 1}
    assert (row.reason, row.attempts) == ("", 0), "the scan itself is well"
    for number, pause in enumerate(FETCH_PAUSES[:3], start=1):
        tries = [call for call in calls(fake, "GET") if call == path]
        assert len(tries) == number
        scanner.wait(seconds=pause.total_seconds() / 2)
        scanner.run_task()
        assert [call for call in calls(fake, "GET") if call == path] == tries
        scanner.wait(seconds=pause.total_seconds() / 2 + 1)
        scanner.scan()
    fake.faults.clear()
    scanner.wait(hours=2)
    scanner.scan()
    assert missed() == {("kept", "fetched"): 4}


def test_an_outage_of_github_costs_attempts_of_the_first_deliveries_only(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    lose(log, deliveries[:20])
    fake.spoil(Fault(faults.hang_up(), fetching, times=None))
    log.deliver(deliveries[20:21])
    open_scan(scanner.access.client.credentials().app_id)
    row = scanner.run_task()
    assert row is not None
    assert (row.reason, row.attempts) == ("unanswered", 1)
    assert MissedDelivery.objects.filter(attempts__gt=0).count() <= scan.MOST_UNANSWERED


def test_an_attempt_is_spent_before_it_is_made(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose payload kills every worker is in no other's way, and is asked for instead in the end."""

    class Killed(BaseException):
        pass

    def die(point: str) -> None:
        if point == "scan.after_fetch":
            raise Killed

    lose(log, deliveries[:1])
    monkeypatch.setattr(scan, "failpoint", die)
    for pause in FETCH_PAUSES:
        with pytest.raises(Killed):
            scanner.run_task()
        scanner.wait(seconds=max(pause.total_seconds(), 76) + 1)
    monkeypatch.undo()
    scanner.scan()
    row = MissedDelivery.objects.get()
    assert (row.state, row.reason) == ("asked", "crashed")

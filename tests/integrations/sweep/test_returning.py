"""Bringing back what was missed: the ways there are, what each ends in, and how often it is tried."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import override_settings

from apps.demo.organisation import Sent
from apps.integrations.delivery_log import entries as github_log
from apps.integrations.delivery_log import recover
from apps.integrations.delivery_log.recover import ASK_PAUSES, FETCH_PAUSES
from apps.integrations.delivery_log.scan_job import open_scan
from apps.integrations.models import MissedDelivery
from apps.webhooks.models import Delivery
from tests.fake_github import faults
from tests.fake_github.answering import Answered, Asked
from tests.fake_github.delivery_log import DeliveryLog
from tests.fake_github.faults import Fault
from tests.fake_github.server import FakeGitHub
from tests.integrations.sweep.sweeper import LIST, Sweeper, inbox, missed

pytestmark = pytest.mark.django_db
by_redelivery = override_settings(SWEEP_REDELIVERS=True)


def calls(fake: FakeGitHub, method: str) -> list[str]:
    return [call.path for call in fake.log if call.method == method]


def fetching(asked: Asked) -> bool:
    return asked.method == "GET" and asked.path.startswith(f"{LIST}/")


def lose(log: DeliveryLog, sents: list[Sent]) -> None:
    with log.outage():
        log.deliver(sents)


@by_redelivery
def test_by_setting_github_is_asked_to_deliver_again_and_it_comes_through_the_door(
    told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    lose(log, told[:3])
    sweeper.sweep()
    assert missed() == {("asked", ""): 3}
    assert inbox() == set()
    assert log.catch_up() == 3
    sweeper.wait(minutes=3)
    sweeper.sweep()
    assert missed() == {("kept", "redelivered"): 3}
    assert set(Delivery.objects.values_list("source", flat=True)) == {Delivery.Source.WEBHOOK}


@by_redelivery
def test_what_is_asked_for_in_vain_is_asked_for_later_each_time_and_then_fetched(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    lose(log, told[:1])
    sweeper.sweep()
    for number, pause in enumerate(ASK_PAUSES, start=1):
        with log.outage():
            log.catch_up()
        assert len(calls(fake, "POST")) == number
        sweeper.wait(minutes=1)
        sweeper.turn()
        assert len(calls(fake, "POST")) == number, "it is not asked for again so soon"
        sweeper.wait(seconds=pause.total_seconds())
        sweeper.sweep()
    assert len(calls(fake, "POST")) == len(ASK_PAUSES)
    assert missed() == {("kept", "fetched"): 1}


@by_redelivery
def test_a_door_that_is_still_shut_is_not_stormed(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recover, "MOST_UNDER_WAY", 5)
    lose(log, told[:12])
    sweeper.sweep()
    assert len(calls(fake, "POST")) == 5
    with log.outage():
        log.catch_up()
    sweeper.wait(seconds=40)
    sweeper.sweep()
    assert len(calls(fake, "POST")) == 5, "those five may still come"
    sweeper.wait(minutes=2)
    log.catch_up()
    sweeper.sweep()
    assert len(calls(fake, "POST")) == 10


@by_redelivery
def test_without_a_webhook_secret_nothing_is_asked_for(told: list[Sent], log: DeliveryLog, sweeper: Sweeper) -> None:
    lose(log, told[:1])
    with override_settings(GITHUB_WEBHOOK_SECRETS=[]):
        row = sweeper.turn()
    assert row is not None
    assert (row.reason, missed()) == ("no_webhook_secret", {})


@by_redelivery
def test_a_redelivery_that_github_accepts_without_a_word_is_accepted(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    def without_body(asked: Asked, answer: Answered) -> Answered:
        return Answered(202, None, dict(answer.headers))

    fake.spoil(Fault(without_body, lambda asked: asked.method == "POST", is_instead=False))
    lose(log, told[:1])
    sweeper.sweep()
    assert missed() == {("asked", ""): 1}


def test_what_comes_by_itself_meanwhile_is_noted_as_such(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    """Somebody has it redelivered by hand."""
    lose(log, told[:1])
    log.deliver(told[1:2])
    fake.spoil(Fault(faults.status(500), faults.below(f"{LIST}/1"), times=None))
    sweeper.sweep()
    assert missed() == {("waiting", ""): 1}
    log.deliver(told[:1])
    sweeper.wait(minutes=16)
    sweeper.sweep()
    assert missed() == {("kept", "came"): 1}


def test_what_github_shows_without_its_payload_is_asked_for_at_the_door(
    told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    lose(log, told[:2])
    log.without_payload.add(told[0].guid)
    sweeper.sweep()
    assert missed() == {("kept", "fetched"): 1, ("asked", ""): 1}
    log.catch_up()
    sweeper.wait(minutes=3)
    sweeper.sweep()
    assert missed() == {("kept", "fetched"): 1, ("kept", "redelivered"): 1}


def test_what_is_larger_than_we_take_is_asked_for_and_then_given_up(
    told: list[Sent], log: DeliveryLog, sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github_log, "LARGEST_BODY", 1000)
    lose(log, told[:1])
    sweeper.sweep()
    for pause in ASK_PAUSES:
        with log.outage():
            log.catch_up()
        sweeper.wait(seconds=pause.total_seconds() + 1)
        sweeper.sweep()
    row = MissedDelivery.objects.get()
    assert (row.state, row.reason, row.asks) == ("given_up", "not_delivered", len(ASK_PAUSES))


def test_what_the_log_has_no_more_is_given_up(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    """GitHub forgets it between the list and the question."""
    lose(log, told[:2])
    gone = f"{LIST}/1"
    fake.spoil(Fault(faults.status(404, {"message": "Not Found"}), faults.below(gone), times=None))
    sweeper.sweep()
    row = MissedDelivery.objects.get(log_id=1)
    assert (row.state, row.reason, row.error) == ("given_up", "gone", "Not Found")
    assert missed()["kept", "fetched"] == 1


def test_what_was_given_up_is_tried_again_when_somebody_has_it_redelivered(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    lose(log, told[:1])
    log.deliver(told[1:2])
    fake.spoil(Fault(faults.status(404, {"message": "Not Found"}), faults.below(f"{LIST}/1"), times=None))
    sweeper.sweep()
    assert missed() == {("given_up", ""): 1}
    lose(log, told[:1])
    sweeper.wait(minutes=16)
    sweeper.sweep()
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
def test_a_detail_that_cannot_be_a_delivery_is_not_kept(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper, *, request_shown: Any, reason: str
) -> None:
    lose(log, told[:1])
    fake.spoil(Fault(change(**request_shown), fetching, times=None, is_instead=False))
    sweeper.sweep()
    row = MissedDelivery.objects.get()
    assert (row.state, row.reason, row.is_other_way) == ("asked", reason, True)
    assert inbox() == set()


def test_without_headers_the_list_and_the_learned_hook_stand_for_them(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    log.deliver(told[:1])
    sweeper.sweep()
    lose(log, told[1:2])
    fake.spoil(Fault(change(headers=None), fetching, times=None, is_instead=False))
    sweeper.wait(minutes=16)
    sweeper.sweep()
    assert set(Delivery.objects.values_list("hook_id", flat=True)) == {log.hook_id}
    assert inbox() == {sent.guid for sent in told[:2]}


def test_one_that_github_does_not_show_is_tried_later_each_time_and_in_no_others_way(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    lose(log, told[:4])
    path = f"{LIST}/2"
    fake.spoil(Fault(faults.status(500), lambda asked: asked.path == path, times=None))
    row = sweeper.sweep()
    assert missed() == {("kept", "fetched"): 3, ("waiting", ""): 1}
    assert (row.reason, row.attempts) == ("", 0), "the sweep itself is well"
    for number, pause in enumerate(FETCH_PAUSES[:3], start=1):
        tries = [call for call in calls(fake, "GET") if call == path]
        assert len(tries) == number
        sweeper.wait(seconds=pause.total_seconds() / 2)
        sweeper.turn()
        assert [call for call in calls(fake, "GET") if call == path] == tries
        sweeper.wait(seconds=pause.total_seconds() / 2 + 1)
        sweeper.sweep()
    fake.faults.clear()
    sweeper.wait(hours=2)
    sweeper.sweep()
    assert missed() == {("kept", "fetched"): 4}


def test_where_github_does_not_answer_at_all_no_delivery_but_the_first_ones_bear_it(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    lose(log, told[:20])
    fake.spoil(Fault(faults.hang_up(), fetching, times=None))
    log.deliver(told[20:21])
    open_scan(sweeper.access.client.credentials().app_id)
    row = sweeper.turn()
    assert row is not None
    assert (row.reason, row.attempts) == ("unanswered", 1)
    assert MissedDelivery.objects.filter(attempts__gt=0).count() <= recover.MOST_SILENT


def test_an_attempt_is_spent_before_it_is_made(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose payload kills every worker is in no other's way, and is asked for instead in the end."""

    class Killed(BaseException):
        pass

    def die(point: str) -> None:
        if point == "scan.after_fetch":
            raise Killed

    lose(log, told[:1])
    monkeypatch.setattr(recover, "failpoint", die)
    for pause in FETCH_PAUSES:
        with pytest.raises(Killed):
            sweeper.turn()
        sweeper.wait(seconds=max(pause.total_seconds(), 76) + 1)
    monkeypatch.undo()
    sweeper.sweep()
    row = MissedDelivery.objects.get()
    assert (row.state, row.reason) == ("asked", "crashed")

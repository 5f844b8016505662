"""Deliveries that failed are found in GitHub's log and stored in the inbox, once."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings

from apps.demo.organisation import Sent
from apps.integrations.models import DeliveryLogScan, MissedDelivery
from apps.webhooks.models import Delivery
from tests.activity.tables import clear, contents
from tests.emptying import empty
from tests.fake_github.delivery_log import HOOK_ID, DeliveryLog
from tests.fake_github.server import FakeGitHub
from tests.integrations.delivery_log.scanner import LIST, Scanner, covered, inbox, missed
from tests.webhooks.conftest import GitHub, drain

pytestmark = pytest.mark.django_db


def drain_all() -> None:
    while drain():
        pass


def facts() -> dict[str, Any]:
    """All tables but those whose rows are stamped with their arrival."""
    return {name: rows for name, rows in contents().items() if name not in {"Installation", "GitReference"}}


@pytest.mark.proof
@pytest.mark.parametrize("answer", [0, 502, 503])
def test_one_scan_recovers_the_deliveries_of_an_outage_and_makes_the_same_facts(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner, answer: int
) -> None:
    log.deliver(deliveries)
    drain_all()
    expected = facts()
    log.attempts.clear()
    clear()
    empty(["webhooks_deliverybody", "webhooks_delivery"])
    log.deliver(deliveries[:40])
    with log.outage(answer):
        log.deliver(deliveries[40:-40])
    log.deliver(deliveries[-40:])
    assert len(inbox()) == 80
    row = scanner.scan()
    assert inbox() == {sent.guid for sent in deliveries}
    assert missed() == {("kept", "fetched"): len(deliveries) - 80}
    assert row.mark is not None
    assert scanner.now() - row.mark < timedelta(hours=1, minutes=1)
    drain_all()
    assert facts() == expected
    assert Delivery.objects.filter(is_conflict=True).count() == 0


@pytest.mark.proof
def test_a_second_scan_finds_nothing_and_fetches_no_delivery_but_the_newest(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    with log.outage():
        log.deliver(deliveries[:150])
    scanner.scan()
    asked, rows = len(fake.log), MissedDelivery.objects.count()
    assert rows == 150
    assert scanner.run_task() is None, "it is not due before its time"
    scanner.wait(minutes=16)
    scanner.scan()
    assert MissedDelivery.objects.count() == rows
    assert [call.path for call in fake.log[asked:]] == [LIST, f"{LIST}/150", LIST]


def test_a_fetched_delivery_says_where_it_came_from_and_what_its_own_headers_said(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    sent = deliveries[0]
    with log.outage():
        log.deliver([sent])
    scanner.scan()
    delivery = Delivery.objects.get()
    assert (delivery.source, delivery.signed_by) == (Delivery.Source.API, "")
    assert (delivery.hook_id, str(delivery.guid), delivery.event) == (HOOK_ID, sent.guid, sent.event)
    assert delivery.repository_id == sent.payload["repository"]["id"]
    assert delivery.body.headers["content-type"] == "application/json"
    row = MissedDelivery.objects.get()
    assert (row.delivery_id, row.repository_id, row.status_code) == (delivery.pk, delivery.repository_id, 503)


def test_all_attempts_at_one_event_are_one_and_the_newest_is_fetched(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    with log.outage():
        log.deliver([*deliveries[:2], *deliveries[:2], deliveries[0]])
    scanner.scan()
    assert missed() == {("kept", "fetched"): 2}
    assert set(MissedDelivery.objects.values_list("log_id", flat=True)) == {4, 5}
    fetched = [call.path for call in fake.log if call.path.count("/") == 4]
    assert fetched == [f"{LIST}/5", f"{LIST}/4", f"{LIST}/5"], "the first one shows the hook"


def test_a_delivery_that_is_not_in_the_inbox_is_missing_even_if_it_was_acknowledged(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    """As after a backup was restored."""
    log.deliver(deliveries[:3])
    empty(["webhooks_deliverybody", "webhooks_delivery"])
    scanner.scan()
    assert inbox() == {sent.guid for sent in deliveries[:3]}


def test_a_delivery_of_another_hook_with_the_same_guid_does_not_count_as_ours(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    """Two hooks share the GUID of an event, and say different things of it."""
    sent = deliveries[0]
    GitHub().deliver({"zen": "of another hook"}, event=sent.event, guid=sent.guid, hook_id=77)
    with log.outage():
        log.deliver([sent])
    scanner.scan()
    assert set(Delivery.objects.values_list("hook_id", flat=True)) == {77, HOOK_ID}
    assert DeliveryLogScan.objects.get().hook_id == HOOK_ID


def test_deliveries_of_a_replaced_hook_are_not_stored_twice(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    log.deliver(deliveries[:2])
    scanner.scan()
    log.hook_id = 99
    with log.outage():
        log.deliver(deliveries[2:3])
    scanner.wait(minutes=16)
    scanner.scan()
    assert sorted(Delivery.objects.values_list("hook_id", flat=True)) == [99, HOOK_ID, HOOK_ID]
    assert DeliveryLogScan.objects.get().hook_id == 99
    scanner.wait(minutes=16)
    asked = len(fake.log)
    scanner.scan()
    assert len(fake.log) - asked == 2, "nothing is fetched again"


@pytest.mark.parametrize("state", ["failed", "dead", "quarantined"])
def test_a_delivery_in_the_inbox_is_left_in_its_state(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner, state: str
) -> None:
    log.deliver(deliveries[:1])
    finished_at = None if state == "failed" else scanner.now()
    Delivery.objects.update(state=state, reason="made_up", finished_at=finished_at, attempts=3)
    with log.outage():
        log.deliver(deliveries[:1])
    scanner.scan()
    assert (Delivery.objects.get().state, Delivery.objects.get().attempts) == (state, 3)
    assert missed() == {}


def test_deliveries_with_an_effect_are_fetched_before_ignored_ones(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    first, *others = deliveries[:4]
    ignored = Sent("check_run", {"action": "created", "check_run": {"id": 1}}, first.at, first.guid)
    with log.outage():
        log.deliver([ignored, *others])
    scanner.scan()
    kept = list(Delivery.objects.order_by("pk").values_list("event", flat=True))
    assert sorted(kept[:-1]) == sorted(sent.event for sent in others)
    assert kept[-1] == "check_run", "it is stored all the same, as by the receiver"


def test_a_log_without_entries_is_read_and_covered(log: DeliveryLog, scanner: Scanner) -> None:
    row = scanner.scan()
    assert row.read_at is not None
    assert (covered(), row.hook_id) == ([], None)
    scanner.wait(minutes=16)
    assert scanner.scan().mark is not None
    [(from_at, to_at)] = covered()
    assert timedelta(minutes=15) < to_at - from_at < timedelta(minutes=17)


@override_settings(ALLOWED_ACCOUNTS=["somebody-else"])
def test_deliveries_of_an_unaccepted_account_are_stored_and_cause_no_other_request(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    with log.outage():
        log.deliver(deliveries[:3])
    scanner.scan()
    assert inbox() == {sent.guid for sent in deliveries[:3]}
    assert {call.path.rpartition("/")[0] for call in fake.log} == {"/app/hook", LIST}

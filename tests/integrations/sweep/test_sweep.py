"""What GitHub delivered in vain is found in its log and comes into the inbox, once."""

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
from tests.integrations.sweep.sweeper import LIST, Sweeper, covered, inbox, missed
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
def test_what_failed_in_an_outage_is_in_the_inbox_after_one_sweep_and_makes_the_same_facts(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper, answer: int
) -> None:
    log.deliver(told)
    drain_all()
    expected = facts()
    log.attempts.clear()
    clear()
    empty(["webhooks_deliverybody", "webhooks_delivery"])
    log.deliver(told[:40])
    with log.outage(answer):
        log.deliver(told[40:-40])
    log.deliver(told[-40:])
    assert len(inbox()) == 80
    row = sweeper.sweep()
    assert inbox() == {sent.guid for sent in told}
    assert missed() == {("kept", "fetched"): len(told) - 80}
    assert row.mark is not None
    assert sweeper.now() - row.mark < timedelta(hours=1, minutes=1)
    drain_all()
    assert facts() == expected
    assert Delivery.objects.filter(is_conflict=True).count() == 0


@pytest.mark.proof
def test_a_second_sweep_finds_nothing_and_asks_for_no_delivery_but_the_newest(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    with log.outage():
        log.deliver(told[:150])
    sweeper.sweep()
    asked, rows = len(fake.log), MissedDelivery.objects.count()
    assert rows == 150
    assert sweeper.turn() is None, "it is not due before its time"
    sweeper.wait(minutes=16)
    sweeper.sweep()
    assert MissedDelivery.objects.count() == rows
    assert [call.path for call in fake.log[asked:]] == [LIST, f"{LIST}/150", LIST]


def test_a_fetched_delivery_says_where_it_came_from_and_what_its_own_headers_said(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    sent = told[0]
    with log.outage():
        log.deliver([sent])
    sweeper.sweep()
    delivery = Delivery.objects.get()
    assert (delivery.source, delivery.signed_by) == (Delivery.Source.API, "")
    assert (delivery.hook_id, str(delivery.guid), delivery.event) == (HOOK_ID, sent.guid, sent.event)
    assert delivery.repository_id == sent.payload["repository"]["id"]
    assert delivery.body.headers["content-type"] == "application/json"
    row = MissedDelivery.objects.get()
    assert (row.delivery_id, row.repository_id, row.status_code) == (delivery.pk, delivery.repository_id, 503)


def test_all_attempts_at_one_event_are_one_and_the_newest_is_fetched(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    with log.outage():
        log.deliver([*told[:2], *told[:2], told[0]])
    sweeper.sweep()
    assert missed() == {("kept", "fetched"): 2}
    assert set(MissedDelivery.objects.values_list("log_id", flat=True)) == {4, 5}
    fetched = [call.path for call in fake.log if call.path.count("/") == 4]
    assert fetched == [f"{LIST}/5", f"{LIST}/4", f"{LIST}/5"], "the first one tells the hook"


def test_what_was_answered_well_and_is_not_here_is_missing_too(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    """As after a backup was restored."""
    log.deliver(told[:3])
    empty(["webhooks_deliverybody", "webhooks_delivery"])
    sweeper.sweep()
    assert inbox() == {sent.guid for sent in told[:3]}


def test_the_guid_of_another_hook_does_not_stand_for_ours(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    """Two hooks share the GUID of an event, and say different things of it."""
    sent = told[0]
    GitHub().deliver({"zen": "of another hook"}, event=sent.event, guid=sent.guid, hook_id=77)
    with log.outage():
        log.deliver([sent])
    sweeper.sweep()
    assert set(Delivery.objects.values_list("hook_id", flat=True)) == {77, HOOK_ID}
    assert DeliveryLogScan.objects.get().hook_id == HOOK_ID


def test_where_the_hook_was_made_anew_what_came_by_the_old_one_is_not_doubled(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    log.deliver(told[:2])
    sweeper.sweep()
    log.hook_id = 99
    with log.outage():
        log.deliver(told[2:3])
    sweeper.wait(minutes=16)
    sweeper.sweep()
    assert sorted(Delivery.objects.values_list("hook_id", flat=True)) == [99, HOOK_ID, HOOK_ID]
    assert DeliveryLogScan.objects.get().hook_id == 99
    sweeper.wait(minutes=16)
    asked = len(fake.log)
    sweeper.sweep()
    assert len(fake.log) - asked == 2, "nothing is fetched again"


@pytest.mark.parametrize("state", ["failed", "dead", "quarantined"])
def test_what_is_here_is_left_to_its_own_state(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper, state: str
) -> None:
    log.deliver(told[:1])
    finished_at = None if state == "failed" else sweeper.now()
    Delivery.objects.update(state=state, reason="made_up", finished_at=finished_at, attempts=3)
    with log.outage():
        log.deliver(told[:1])
    sweeper.sweep()
    assert (Delivery.objects.get().state, Delivery.objects.get().attempts) == (state, 3)
    assert missed() == {}


def test_what_takes_effect_is_fetched_before_what_is_ignored(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    first, *others = told[:4]
    ignored = Sent("check_run", {"action": "created", "check_run": {"id": 1}}, first.at, first.guid)
    with log.outage():
        log.deliver([ignored, *others])
    sweeper.sweep()
    kept = list(Delivery.objects.order_by("pk").values_list("event", flat=True))
    assert sorted(kept[:-1]) == sorted(sent.event for sent in others)
    assert kept[-1] == "check_run", "it is kept all the same, as at the door"


def test_a_quiet_log_is_walked_and_covered(log: DeliveryLog, sweeper: Sweeper) -> None:
    row = sweeper.sweep()
    assert row.read_at is not None
    assert (covered(), row.hook_id) == ([], None)
    sweeper.wait(minutes=16)
    assert sweeper.sweep().mark is not None
    [(from_at, to_at)] = covered()
    assert timedelta(minutes=15) < to_at - from_at < timedelta(minutes=17)


@override_settings(ALLOWED_ACCOUNTS=["somebody-else"])
def test_of_a_strangers_account_it_keeps_what_github_posted_to_us_and_asks_for_nothing_else(
    fake: FakeGitHub, told: list[Sent], log: DeliveryLog, sweeper: Sweeper
) -> None:
    with log.outage():
        log.deliver(told[:3])
    sweeper.sweep()
    assert inbox() == {sent.guid for sent in told[:3]}
    assert {call.path.rpartition("/")[0] for call in fake.log} == {"/app/hook", LIST}

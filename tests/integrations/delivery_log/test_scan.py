"""Deliveries that failed are found in GitHub's log and stored in the inbox, once; operators see the scan."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client, override_settings
from django.utils import timezone

from apps.demo.scenario import Sent
from apps.integrations.delivery_log.entries import read_entries
from apps.integrations.delivery_log.scan_job import open_scan
from apps.integrations.models import DeliveryLogScan, MissedDelivery
from apps.integrations.work_problems import MANY_GIVEN_UP, scan_problems
from apps.users.models import CustomUser
from apps.webhooks.models import Delivery
from apps.webhooks.parsing import UnusablePayloadError
from tests.activity.tables import clear, contents, empty
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


PAGE = "/admin/integrations/misseddelivery/"
NOW = timezone.now()


@pytest.fixture
def operator() -> Client:
    client = Client()
    user = CustomUser.objects.create_superuser("operator")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def miss(**about: Any) -> MissedDelivery:
    usual = {"log_id": 1, "delivered_at": NOW, "status_code": 503, "event": "push", "has_effect": True}
    return MissedDelivery.objects.create(**{"hook_id": 5, "guid": uuid4(), **usual, **about})


def test_missed_deliveries_are_found_by_guid_key_repository_and_event(operator: Client) -> None:
    first, second = miss(repository_id=11), miss(event="issues", repository_id=12)
    for term in (str(first.guid), f"5:{first.guid}", "11", "push"):
        page = operator.get(PAGE, {"q": term}).content.decode()
        assert str(first.guid) in page, term
        assert str(second.guid) not in page, term
    for term in ("no such thing", "5:nonsense", "9" * 40):
        assert operator.get(PAGE, {"q": term}).status_code == 200
    assert operator.get(f"{PAGE}{first.pk}/change/").status_code == 200
    assert operator.get(f"{PAGE}add/").status_code == 403


def test_the_admin_page_of_a_scan_says_what_it_waits_for(operator: Client) -> None:
    open_scan(7).update(reason="spent")
    page = operator.get("/admin/integrations/deliverylogscan/").content.decode()
    assert "the hour&#x27;s limit is spent" in page
    assert operator.get(f"/admin/integrations/deliverylogscan/{open_scan(7).get().pk}/change/").status_code == 200


def test_many_deliveries_given_up_are_a_problem_and_ignored_events_are_not() -> None:
    for number in range(MANY_GIVEN_UP + 1):
        miss(state="given_up", log_id=number, has_effect=number > 0)
    assert scan_problems() == {}
    miss(state="given_up")
    assert "11 deliveries" in scan_problems()["missed_deliveries_given_up"]


def test_a_log_that_was_never_read_whole_is_a_problem_after_two_hours() -> None:
    open_scan(7).update(created_at=NOW - timedelta(hours=1))
    assert scan_problems() == {}
    DeliveryLogScan.objects.update(created_at=NOW - timedelta(hours=3))
    assert scan_problems()["delivery_log_scan_is_late"].endswith("was never read whole: do beat and a worker run?")


ENTRY: Mapping[str, Any] = {
    "id": 12345678,
    "guid": "0b989ba4-242f-11e5-81e1-c7b6966d2516",
    "delivered_at": "2019-06-03T00:57:16Z",
    "redelivery": False,
    "duration": 0.27,
    "status": "OK",
    "status_code": 200,
    "event": "issues",
    "action": "opened",
    "installation_id": 123,
    "repository_id": 456,
    "throttled_at": "2019-06-03T00:57:16Z",
}


def test_an_entry_is_read_as_github_documents_it() -> None:
    [entry] = read_entries([ENTRY], as_of=NOW)
    assert (entry.log_id, str(entry.guid), entry.status_code) == (12345678, ENTRY["guid"], 200)
    assert (entry.event, entry.action, entry.installation_id, entry.repository_id) == ("issues", "opened", 123, 456)
    bare = {**ENTRY, "action": None, "installation_id": None, "repository_id": None, "status_code": 0}
    [entry] = read_entries([bare], as_of=NOW)
    assert (entry.action, entry.installation_id, entry.status_code) == ("", None, 0)


@pytest.mark.parametrize("change", [{"id": None}, {"guid": "none"}, {"delivered_at": "never"}, {"event": 5}])
def test_an_entry_that_cannot_be_read_fails_the_page(change: dict[str, Any]) -> None:
    with pytest.raises(UnusablePayloadError):
        read_entries([{**ENTRY, **change}], as_of=NOW)

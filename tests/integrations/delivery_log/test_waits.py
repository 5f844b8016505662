"""Waits of a scan are stored in its row, and what comes late counts as arrived when GitHub first posted it."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.activity.models import GitReference
from apps.demo.scenario import Sent
from apps.github.credentials import NoCredentialsError
from apps.integrations.delivery_log.scan_job import BACKOFF, wait_after_failure
from apps.integrations.models import DeliveryLogScan
from apps.integrations.work_problems import scan_problems
from apps.webhooks import intake
from apps.webhooks.models import Delivery
from apps.webhooks.signature import GitHubHook
from tests.api.conftest import make_delivery
from tests.fake_github import faults
from tests.fake_github.delivery_log import DeliveryLog
from tests.fake_github.faults import Answered, Asked, Change, Fault
from tests.fake_github.identities import APP_ID, strange_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import access_to
from tests.integrations.delivery_log.scanner import LIST, Scanner, inbox, missed
from tests.webhooks.conftest import drain

pytestmark = pytest.mark.django_db
THE_APP = 0


def waits_s(row: DeliveryLogScan | None) -> float:
    assert row is not None
    return (row.not_before - timezone.now()).total_seconds()


def lose(log: DeliveryLog, sents: list[Sent]) -> None:
    with log.outage():
        log.deliver(sents)


def test_a_scan_waits_while_the_inbox_lags(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    lose(log, deliveries[:1])
    make_delivery(1)
    Delivery.objects.update(not_before=timezone.now() - timedelta(minutes=5))
    row = scanner.run_task()
    assert row is not None
    assert (row.reason, row.attempts, fake.log) == ("inbox_lags", 0, [])
    assert 30 < waits_s(row) <= 60
    Delivery.objects.all().delete()
    scanner.wait(minutes=1)
    scanner.scan()
    assert inbox() == {deliveries[0].guid}


def test_a_key_that_github_refuses_is_named_in_the_row_and_loses_nothing(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    lose(log, deliveries[:3])
    right, scanner.access = scanner.access, access_to(fake, pem=strange_pem())
    row = scanner.run_task()
    assert row is not None
    assert (row.reason, row.attempts, row.mark) == ("app_refused", 1, None)
    assert waits_s(row) > 250
    scanner.access = right
    scanner.wait(minutes=20)
    row = scanner.scan()
    assert (row.reason, row.error, row.attempts) == ("", "", 0)
    assert len(inbox()) == 3


def test_a_scan_waits_for_a_spent_limit_without_counting_an_attempt(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    lose(log, deliveries[:20])
    fake.limits.leave(THE_APP, "core", remaining=510)
    row = scanner.run_task()
    assert row is not None
    assert (row.reason, row.attempts) == ("spent", 0)
    assert waits_s(row) > 60
    found = missed()
    assert found["kept", "fetched"] > 0
    assert sum(found.values()) == 20
    scanner.wait(hours=1, minutes=1)
    scanner.scan()
    assert missed() == {("kept", "fetched"): 20}


@pytest.mark.parametrize(
    ("change", "reason", "at_least_s"),
    [
        (faults.secondary(retry_after_s=120), "blocked", 115),
        (faults.status(500), "unanswered", 3),
        (faults.hang_up(), "unanswered", 3),
        (faults.status(403, {"message": "Resource not accessible by integration"}), "forbidden", 250),
        (faults.status(404, {"message": "Not Found"}), "gone", 250),
        (faults.status(200, {"no": "list"}), "shape_mismatch", 3),
        (faults.status(200, [{"id": 1}]), "shape_mismatch", 3),
        (faults.status(200, "not JSON"), "unanswered", 3),
    ],
)
def test_an_unusable_answer_is_named_in_the_row_and_the_log_is_read_again(
    fake: FakeGitHub,
    deliveries: list[Sent],
    log: DeliveryLog,
    scanner: Scanner,
    *,
    change: Change,
    reason: str,
    at_least_s: float,
) -> None:
    lose(log, deliveries[:2])
    fake.spoil(Fault(change, faults.below(LIST), times=1))
    row = scanner.run_task()
    assert row is not None
    assert (row.reason, row.mark, row.lease_until) == (reason, None, None)
    assert waits_s(row) >= at_least_s
    scanner.wait(minutes=20)
    scanner.scan()
    assert len(inbox()) == 2


def test_a_page_that_links_to_itself_is_refused(fake: FakeGitHub, log: DeliveryLog, scanner: Scanner) -> None:
    def to_itself(asked: Asked, answer: Answered) -> Answered:
        answer.headers["link"] = f'<{fake.url}{LIST}?per_page=100>; rel="next"'
        return answer

    fake.spoil(Fault(to_itself, faults.below(LIST), is_instead=False))
    row = scanner.run_task()
    assert row is not None
    assert row.reason == "shape_mismatch"


def test_a_failed_scan_waits_longer_each_time() -> None:
    waits = [wait_after_failure("made_up", attempts=attempts, chance=0.5).seconds for attempts in range(12)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (5, BACKOFF.longest_s)


def test_a_scan_that_never_finishes_is_a_problem_long_before_github_deletes_its_log(
    log: DeliveryLog, scanner: Scanner, fake: FakeGitHub
) -> None:
    scanner.scan()
    assert scan_problems() == {}
    fake.spoil(Fault(faults.status(500), faults.below(LIST), times=None))
    scanner.wait(hours=1)
    scanner.run_task()
    assert scan_problems() == {}
    scanner.wait(hours=2)
    words = scan_problems()["delivery_log_scan_is_late"]
    assert "last read whole" in words
    assert "GitHub does not answer (HTTP 500)" in words


def test_a_scan_without_credentials_raises_an_error(scanner: Scanner) -> None:
    def none() -> None:
        raise NoCredentialsError("Set GITHUB_APP_ID.")

    scanner.access.client.credentials = none  # type: ignore[assignment]
    with pytest.raises(NoCredentialsError):
        scanner.run_task()
    assert not DeliveryLogScan.objects.filter(pk=APP_ID).exists()


def test_a_delivery_fetched_late_does_not_undo_a_later_one(
    deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    """A branch that was made in the outage and deleted after it stays deleted."""
    repository = deliveries[0].payload["repository"]
    around = {"repository": repository, "sender": deliveries[0].payload["sender"], "ref": "idea", "ref_type": "branch"}
    made = Sent(
        "create", {**around, "master_branch": "main", "pusher_type": "user"}, deliveries[0].at, deliveries[1].guid
    )
    deleted = Sent("delete", {**around, "pusher_type": "user"}, deliveries[0].at, deliveries[2].guid)
    scanner.clock.wind(-7200)
    with log.outage():
        log.deliver([made])
    scanner.clock.wind(7200)
    log.deliver([deleted])
    drain()
    scanner.scan()
    drain()
    assert Delivery.objects.filter(state="processed").count() == 2
    assert GitReference.objects.get(name="idea").is_deleted


def test_a_fetched_delivery_arrived_when_github_posted_it_but_never_in_the_future(
    deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    scanner.clock.wind(-7200)
    with log.outage():
        log.deliver(deliveries[:1])
    scanner.clock.wind(7200)
    scanner.scan()
    late_by = timezone.now() - Delivery.objects.get().received_at
    assert timedelta(minutes=119) < late_by < timedelta(minutes=122)
    hook = GitHubHook.from_environ(
        {"HTTP_X_GITHUB_EVENT": "ping", "HTTP_X_GITHUB_DELIVERY": deliveries[1].guid, "HTTP_X_GITHUB_HOOK_ID": "1"}
    )
    intake.receive(hook, json.dumps({"zen": ""}).encode(), received_at=timezone.now() + timedelta(days=1))
    assert Delivery.objects.get(guid=deliveries[1].guid).received_at <= timezone.now()


def test_a_delivery_fetched_late_is_due_at_once(deliveries: list[Sent], log: DeliveryLog, scanner: Scanner) -> None:
    scanner.clock.wind(-7200)
    with log.outage():
        log.deliver(deliveries[:1])
    scanner.clock.wind(7200)
    scanner.scan()
    assert timezone.now() - Delivery.objects.get().not_before < timedelta(minutes=1)

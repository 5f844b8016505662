"""When a scan is due, and who runs it: any number of beats and workers scan once."""

import threading
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from celery import current_app
from django.db import OperationalError, connection
from django.test import override_settings
from django.utils import timezone

from apps.demo.scenario import Sent
from apps.integrations.delivery_log import scan, scan_job
from apps.integrations.delivery_log.scan import MISSED_KEPT_FOR, prune
from apps.integrations.models import DeliveryLogScan, MissedDelivery
from apps.jobs.claims import claim
from apps.jobs.models import LEASE
from apps.jobs.tasks import dispatch, run_jobs
from apps.jobs.wakeups import RUN_TASK
from apps.webhooks.models import Delivery
from tests.fake_github.delivery_log import DeliveryLog
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import access_to
from tests.integrations.delivery_log.scanner import LIST, Scanner, inbox, missed
from tests.plans import explaining

pytestmark = pytest.mark.django_db(transaction=True)
as_our_app = override_settings(GITHUB_APP_ID=APP_ID, GITHUB_APP_PRIVATE_KEY=app_pem())
QUEUE = "backfill"


def take_messages() -> int:
    """Take every message from the queue; how many wake a worker for jobs."""
    found = 0
    with current_app.connection_for_read() as broker:
        queue: Any = current_app.amqp.queues[QUEUE](broker.default_channel)
        while (message := queue.get(no_ack=True)) is not None:
            found += message.headers["task"] == RUN_TASK
    return found


@pytest.fixture(autouse=True)
def _empty_queue() -> None:
    take_messages()


def side_by_side(fake: FakeGitHub, *, hands: int) -> list[DeliveryLogScan | None]:
    """Workers, all at once."""
    gate, rows, errors = threading.Barrier(hands), list[DeliveryLogScan | None](), list[BaseException]()

    def work() -> None:
        try:
            gate.wait()
            rows.append(scan_job.scan_now(access=access_to(fake)))
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(hands)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    return rows


def lists(fake: FakeGitHub) -> int:
    return sum(call.path == LIST for call in fake.log)


def test_four_workers_scan_once(fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog) -> None:
    with log.outage():
        log.deliver(deliveries[:20])
    rows = side_by_side(fake, hands=4)
    assert sum(row is not None for row in rows) == 1
    assert lists(fake) == 1
    assert len([call for call in fake.log if call.path.startswith(f"{LIST}/")]) == 21, "the newest one shows the hook"
    assert missed() == {("kept", "fetched"): 20}


def test_the_scan_of_a_dead_worker_is_taken_over_when_its_lease_has_expired(
    deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    log.deliver(deliveries[:1])
    assert claim(scan_job.open_scan(APP_ID).get().pk, task_id="another") is not None
    assert scanner.run_task() is None
    scanner.wait(seconds=LEASE.total_seconds() + 1)
    assert scanner.run_task() is not None


def test_a_worker_that_lost_its_claim_on_a_scan_writes_nothing(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with log.outage():
        log.deliver(deliveries[:3])

    def taken_over(point: str) -> None:
        DeliveryLogScan.objects.update(claim_number=99)

    monkeypatch.setattr(scan, "failpoint", taken_over)
    row = scanner.run_task()
    assert row is not None
    assert (row.cursor, row.mark, row.claim_number) == ("", None, 99)
    assert missed() == {}


def test_a_worker_that_lost_its_claim_while_it_fetched_stores_nothing_in_the_inbox(
    deliveries: list[Sent], log: DeliveryLog, scanner: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with log.outage():
        log.deliver(deliveries[:3])

    def taken_over(point: str) -> None:
        DeliveryLogScan.objects.update(claim_number=99)

    monkeypatch.setattr(scan, "failpoint", taken_over)
    scanner.run_task()
    assert inbox() == set()


@as_our_app
def test_any_number_of_beats_plan_one_scan_and_only_when_it_is_due(
    deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    log.deliver(deliveries[:1])
    assert [scan_job.plan(), scan_job.plan()] == [1, 1]
    assert scanner.run_task() is not None
    assert scanner.run_task() is None
    assert scan_job.plan() == 0
    scanner.wait(minutes=1)
    assert scan_job.plan() == 0
    for _ in range(13):
        scanner.wait(minutes=1)
        assert scan_job.plan() == 0
    scanner.wait(minutes=1)
    assert scan_job.plan() == 1


@as_our_app
def test_a_scan_that_beat_has_not_planned_for_minutes_is_due_at_once(
    deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    """What was down may have included the receiver."""
    log.deliver(deliveries[:1])
    scanner.scan()
    scanner.wait(minutes=2)
    assert scan_job.plan() == 0
    scanner.wait(minutes=4)
    with log.outage():
        log.deliver(deliveries[1:2])
    assert scan_job.plan() == 1
    scanner.scan()
    assert inbox() == {sent.guid for sent in deliveries[:2]}


@as_our_app
def test_a_scan_is_due_when_beat_starts_but_not_again_for_each_beat(log: DeliveryLog, scanner: Scanner) -> None:
    scanner.scan()
    scanner.wait(minutes=2)
    assert scan_job.plan() == 0
    assert scan_job.plan(at_start=True) == 1
    scanner.scan()
    assert scan_job.plan(at_start=True) == 0


@as_our_app
def test_a_start_of_beat_does_not_end_the_wait_for_a_limit(log: DeliveryLog, scanner: Scanner) -> None:
    scanner.scan()
    scanner.wait(minutes=2)
    DeliveryLogScan.objects.update(reason="spent")
    assert scan_job.plan(at_start=True) == 0


def test_beat_says_that_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    from celery.signals import beat_init  # noqa: PLC0415

    sent: list[tuple[str, Any]] = []
    monkeypatch.setattr("tformance.celery.app.send_task", lambda name, **about: sent.append((name, about["kwargs"])))
    beat_init.send(sender=None)
    assert sent == [("apps.jobs.tasks.dispatch", {"at_start": True})]


@as_our_app
def test_planning_wakes_a_worker_and_its_task_reads_the_log(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with log.outage():
        log.deliver(deliveries[:1])
    monkeypatch.setattr("apps.github.auth.github", lambda: access_to(fake))
    dispatch()
    assert take_messages() >= 1
    run_jobs.apply()
    assert missed() == {("kept", "fetched"): 1}


@override_settings(GITHUB_APP_ID=None, GITHUB_APP_PRIVATE_KEY="")
def test_without_credentials_no_scan_is_planned() -> None:
    assert scan_job.plan() == 0
    assert not DeliveryLogScan.objects.exists()


def test_a_database_that_goes_away_is_waited_for_a_moment_and_loses_nothing(
    deliveries: list[Sent], log: DeliveryLog, scanner: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with log.outage():
        log.deliver(deliveries[:5])

    def gone(*_: Any, **__: Any) -> None:
        raise OperationalError("the connection is closed")

    with monkeypatch.context() as away:
        away.setattr(scan.intake, "receive", gone)
        with pytest.raises(OperationalError):
            scanner.run_task()
    row = DeliveryLogScan.objects.get()
    assert (row.reason, row.lease_until) == ("database", None)
    scanner.wait(minutes=2)
    scanner.scan()
    assert missed() == {("kept", "fetched"): 5}


def test_old_missed_deliveries_are_deleted_unless_they_are_still_awaited(
    fake: FakeGitHub, deliveries: list[Sent], log: DeliveryLog, scanner: Scanner
) -> None:
    with log.outage():
        log.deliver(deliveries[:4])
    scanner.scan()
    first, second, *_ = MissedDelivery.objects.values_list("pk", flat=True)
    MissedDelivery.objects.filter(pk=first).update(state="waiting", recovery_source="", kept_at=None)
    assert prune() == 0
    old = MissedDelivery.objects.get(pk=second).noted_at - MISSED_KEPT_FOR - timedelta(days=1)
    MissedDelivery.objects.filter(pk__in=[first, second]).update(noted_at=old)
    assert prune() == 1
    assert MissedDelivery.objects.count() == 3
    assert Delivery.objects.count() == 4


@pytest.mark.proof
def test_due_and_uncovered_missed_deliveries_are_found_by_their_indexes() -> None:
    plans: list[str] = []
    MissedDelivery.objects.bulk_create(
        MissedDelivery(
            hook_id=1,
            guid=uuid4(),
            log_id=number,
            delivered_at=timezone.now() - timedelta(minutes=number),
            status_code=0,
            event="push",
            repository_id=number % 500,
            has_effect=number % 50 == 0,
            is_counted=number % 50 != 0,
            state=MissedDelivery.State.WAITING if number % 100 == 0 else MissedDelivery.State.KEPT,
            **(
                {}
                if number % 100 == 0
                else {"recovery_source": MissedDelivery.RecoverySource.ARRIVED, "kept_at": timezone.now()}
            ),
        )
        for number in range(5000)
    )
    with connection.execute_wrapper(explaining(plans)):
        list(MissedDelivery.objects.filter(repository_id__in=[1, 2], state=MissedDelivery.State.KEPT, is_counted=False))
        list(MissedDelivery.objects.due()[:10])
        list(MissedDelivery.objects.filter(has_effect=True, delivered_at__gt="2026-01-01T00:00:00Z"))
        MissedDelivery.objects.settle()
    for name, plan in zip(("missed_uncounted", "missed_open", "missed_delivered", "missed_"), plans, strict=True):
        assert name in plan, plan

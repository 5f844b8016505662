"""A real Celery worker, whose child a delivery kills."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
import redis
from django.conf import settings
from django.db import connection

from apps.monitoring.presence import present
from apps.webhooks.models import Delivery
from apps.webhooks.wakeups import enqueue_deliveries
from tests.webhooks.conftest import GitHub, eventually
from tests.webhooks.test_claiming import keep

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.proof]


@pytest.fixture
def empty_queue() -> Iterator[None]:
    broker = redis.Redis.from_url(settings.CELERY_BROKER_URL)
    broker.delete("live", "maintenance", "unacked", "unacked_index")
    yield
    broker.delete("live", "maintenance", "unacked", "unacked_index")
    broker.close()


@pytest.fixture
def worker(empty_queue: None) -> Iterator[subprocess.Popen[bytes]]:
    process = start_worker(queues="live", concurrency=1)
    yield process
    stop_worker(process)


def start_worker(*, queues: str, concurrency: int) -> subprocess.Popen[bytes]:
    """A worker on the tests' database, that knows three made-up events."""
    url = os.environ["DATABASE_URL"]
    address = url.rpartition("/")[0] + "/" + connection.settings_dict["NAME"]
    command = [
        sys.executable,
        "-m",
        "celery",
        "--app",
        "tformance",
        "worker",
        "--pool",
        "prefork",
        "--concurrency",
        str(concurrency),
    ]
    command += ["--queues", queues, "--include", "tests.webhooks.killing_translators", "--loglevel", "WARNING"]
    command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    environment = {**os.environ, "DATABASE_URL": address, "TFORMANCE_ROLE": "worker"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def stop_worker(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def test_a_killed_child_costs_no_lease_and_no_neighbour(github: GitHub, worker: subprocess.Popen[bytes]) -> None:
    for number in range(50):
        github.post(b"{}", event="killer" if number == 20 else "good")
    assert enqueue_deliveries(Delivery.objects.values_list("id", flat=True)) == 1
    # If no redelivered message took its claims over, the killer's four leases alone would take longer.
    eventually(lambda: not Delivery.objects.unfinished().exists())
    assert Counter(Delivery.objects.values_list("event", "state")) == {("good", "processed"): 49, ("killer", "dead"): 1}
    assert Delivery.objects.get(event="killer").reason == "crashed"


def test_a_worker_without_any_beat_finds_deliveries_without_a_wake_up(worker: subprocess.Popen[bytes]) -> None:
    keep(event="good", notified_at="2020-01-01T00:00:00Z")
    eventually(lambda: not Delivery.objects.unfinished().exists())


def test_a_worker_says_that_it_listens_and_that_it_stops(worker: subprocess.Popen[bytes]) -> None:
    def listens() -> bool:
        with redis.Redis.from_url(settings.CELERY_BROKER_URL) as client:
            return bool(present(client).get("live"))

    eventually(listens)
    worker.send_signal(signal.SIGTERM)
    worker.wait(40)
    assert not listens()


def backends_of_workers() -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'tformance worker'"
        )
        return {pid for (pid,) in cursor.fetchall()}


def test_a_worker_keeps_its_connection_from_task_to_task(github: GitHub, worker: subprocess.Popen[bytes]) -> None:
    connected = set()
    for count in range(1, 4):
        github.post(b"{}", event="good")
        enqueue_deliveries(Delivery.objects.values_list("id", flat=True))
        eventually(lambda count=count: Delivery.objects.filter(state="processed").count() == count)
        connected |= backends_of_workers()
    assert len(connected) == 1


def test_a_connection_that_ended_between_two_tasks_fails_no_delivery(
    github: GitHub, worker: subprocess.Popen[bytes]
) -> None:
    for count in (1, 2):
        github.post(b"{}", event="good")
        enqueue_deliveries(Delivery.objects.values_list("id", flat=True))
        eventually(lambda count=count: Delivery.objects.filter(state="processed").count() == count)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pid, 5000) FROM unnest(%s) AS pid", [[*backends_of_workers()]])
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}

"""A database that is away, restarted or frozen, and rows that somebody else holds."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection

from apps.activity.facts import RepositoryName, Stamp
from apps.activity.models import Repository
from apps.common import db
from apps.webhooks import claims, group_commit, signature, worker
from apps.webhooks.models import Delivery
from apps.webhooks.registry import Event
from tests.webhooks.conftest import GitHub, MadeUpEvent, drain, make_due, only
from tests.webhooks.proxies import FreezingProxy, refused_port

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def proxy() -> Iterator[FreezingProxy]:
    """This thread's database connection, led through a proxy."""
    known = dict(connection.settings_dict)
    host, port = known["HOST"] or "127.0.0.1", int(known["PORT"] or 5432)
    is_socket = host.startswith("/")
    between = FreezingProxy(Path(host) / f".s.PGSQL.{port}" if is_socket else (host, port))
    connection.close()
    connection.settings_dict.update(HOST="127.0.0.1", PORT=str(between.port))
    yield between
    between.thaw()
    connection.close()
    connection.settings_dict.update(HOST=known["HOST"], PORT=known["PORT"])
    between.close()


@pytest.fixture
def patient_client(github: GitHub) -> GitHub:
    """GitHub, to whom a connection persists between two posts as it does in production."""
    connection.settings_dict["CONN_MAX_AGE"] = None
    github.deliver()
    Delivery.objects.all().delete()
    return github


def test_a_connection_frozen_in_mid_flight_is_answered_503(
    proxy: FreezingProxy, patient_client: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "LONGEST_WAIT_S", 0.5)
    proxy.freeze()
    assert patient_client.deliver().status_code == 503
    proxy.thaw()
    assert patient_client.deliver().status_code == 202


def test_secrets_are_not_waited_for_on_a_frozen_connection(
    proxy: FreezingProxy, patient_client: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signature, "LONGEST_WAIT_S", 0.5)
    signature.forget_secrets()
    proxy.freeze()
    assert patient_client.deliver().status_code == 503


def test_a_stale_connection_is_mended_unseen(patient_client: GitHub) -> None:
    backend = connection.connection.info.backend_pid
    with psycopg.connect(
        connection.connection.info.dsn, password=connection.settings_dict["PASSWORD"] or None
    ) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
    assert patient_client.deliver().status_code == 202
    assert Delivery.objects.count() == 1


def test_a_dead_database_is_answered_503(github: GitHub) -> None:
    known = dict(connection.settings_dict)
    connection.close()
    connection.settings_dict.update(HOST="127.0.0.1", PORT=str(refused_port()))
    try:
        assert github.deliver().status_code == 503
    finally:
        connection.close()
        connection.settings_dict.update(HOST=known["HOST"], PORT=known["PORT"])
    assert github.deliver().status_code == 202
    assert Delivery.objects.count() == 1


def test_a_frozen_worker_leaves_its_deliveries_to_the_next_claim(
    proxy: FreezingProxy, github: GitHub, made_up_event: MadeUpEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LONGEST_WAIT_S", 0.5)
    github.deliver()

    def freeze_once(event: object) -> tuple[()]:
        made_up_event.make_facts = lambda _: ()
        proxy.freeze()
        threading.Timer(1.0, proxy.thaw).start()
        return ()

    made_up_event.make_facts = freeze_once
    drain()
    assert (only().state, only().reason, only().attempts) == ("failed", "timed_out", 1)


def test_a_claim_whose_answer_is_lost_costs_no_lease(
    proxy: FreezingProxy, github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    drain()  # the server has planned the claim: the next one is a single message
    monkeypatch.setattr(claims, "LONGEST_WAIT_S", 0.5)
    github.deliver()
    proxy.swallow_answers()
    threading.Timer(1.0, proxy.thaw).start()  # for the next connection
    with pytest.raises(db.DatabaseTimeoutError):
        drain()
    assert (only().state, only().claim_number, only().leased_by) == ("received", 1, "")
    assert drain() == 1
    assert (only().state, only().attempts, only().crashes) == ("processed", 1, 0)


def test_those_in_time_are_not_cut_off() -> None:
    with db.limit(seconds=30), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.3)")
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_an_error_of_ones_own_is_not_the_watchdogs() -> None:
    from django.db import ProgrammingError  # noqa: PLC0415

    with pytest.raises(ProgrammingError), db.limit(seconds=30), connection.cursor() as cursor:
        cursor.execute("SELECT nonsense")


def test_a_forked_child_has_a_deadline_thread_of_its_own() -> None:
    with db.limit(seconds=30):
        pass
    before = db._deadlines
    child = os.fork()
    if child == 0:
        os._exit(0 if db._deadlines is not before and db._deadlines._thread is None else 1)
    assert os.waitpid(child, 0)[1] == 0


LOCKED, FREE = 1, 2


def repository_fact(event: Event) -> tuple[RepositoryName]:
    stamp = Stamp(source_updated_at=datetime(2026, 1, 1, tzinfo=UTC), translator_version=1)
    number = event.payload["repository"]["id"]
    return (RepositoryName(stamp=stamp, github_id=number, full_name=f"acme/{number}", is_private=False),)


@pytest.fixture
def unlock(github: GitHub, made_up_event: MadeUpEvent) -> Iterator[Callable[[], None]]:
    """A repository's row is held in another session until this is called."""
    made_up_event.make_facts = repository_fact
    Repository.objects.create(github_id=LOCKED)
    with closing(connection.copy()) as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT FROM activity_repository WHERE github_id = %s FOR UPDATE", [LOCKED])
        yield lambda: cursor.execute("ROLLBACK")


def outcomes() -> list[tuple[str, int, int, bool]]:
    rows = Delivery.objects.order_by("id")
    return list(rows.values_list("state", "attempts", "crashes", "is_slow"))


WAITS, TOOK_EFFECT = ("received", 0, 0, False), ("processed", 1, 0, False)


def deliver(github: GitHub, *repository_ids: int) -> None:
    for number in repository_ids:
        github.deliver({"action": "happened", "repository": {"id": number}})


def test_whoever_needs_a_row_that_is_held_waits_and_the_others_take_effect(
    github: GitHub, unlock: Callable[[], None]
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")  # as a worker's connection has one
    deliver(github, FREE, LOCKED, FREE + 1)
    drain()
    assert outcomes() == [TOOK_EFFECT, WAITS, TOOK_EFFECT]
    unlock()
    make_due()
    assert drain() == 1
    assert outcomes() == [TOOK_EFFECT] * 3


def test_one_alone_that_needs_a_row_that_is_held_spends_no_attempt(github: GitHub, unlock: Callable[[], None]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    deliver(github, LOCKED)
    drain()
    assert outcomes() == [WAITS]


@pytest.fixture(params=["the bound of the transaction", "the soft limit of the task"])
def limit_is_near(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A limit that is reached while the lock is still waited for."""
    if request.param == "the bound of the transaction":
        monkeypatch.setattr(worker, "LONGEST_WAIT_S", 0.5)
        yield
        return

    def stop(*_: object) -> None:
        raise SoftTimeLimitExceeded

    previous = signal.signal(signal.SIGUSR1, stop)  # as Celery's pool does it
    timer = threading.Timer(1, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    yield
    timer.cancel()
    signal.signal(signal.SIGUSR1, previous)


@pytest.mark.parametrize("others", [0, 2])
def test_time_that_ran_out_in_waiting_for_a_lock_is_nobodys_fault(
    github: GitHub, unlock: Callable[[], None], limit_is_near: None, others: int
) -> None:
    deliver(github, LOCKED, *range(FREE, FREE + others))
    drain()
    assert outcomes() == [WAITS] * (1 + others)
    unlock()
    make_due()
    assert drain() == 1 + others
    assert outcomes() == [TOOK_EFFECT] * (1 + others)

"""Rows that somebody else holds: no delivery is at fault, none spends an attempt, and those beside it take effect."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection

from apps.activity.facts import RepositoryName, Stamp
from apps.activity.models import Repository
from apps.webhooks import worker
from apps.webhooks.models import Delivery
from apps.webhooks.registry import Event
from tests.webhooks.conftest import GitHub, MadeUpEvent, drain, make_due

pytestmark = pytest.mark.django_db(transaction=True)
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


@pytest.mark.parametrize("beside", [0, 2])
def test_time_that_ran_out_in_waiting_for_a_lock_is_nobodys_fault(
    github: GitHub, unlock: Callable[[], None], limit_is_near: None, beside: int
) -> None:
    deliver(github, LOCKED, *range(FREE, FREE + beside))
    drain()
    assert outcomes() == [WAITS] * (1 + beside)
    unlock()
    make_due()
    assert drain() == 1 + beside
    assert outcomes() == [TOOK_EFFECT] * (1 + beside)

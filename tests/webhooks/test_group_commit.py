"""Deliveries that arrive together are written together, and none of them pays for another."""

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from django.db import DatabaseError, connection

from apps.webhooks import group_commit, intake
from apps.webhooks.group_commit import GroupCommitter, NewDelivery, StoredDelivery
from apps.webhooks.models import Delivery
from apps.webhooks.parsing import Routing
from apps.webhooks.signature import GitHubHook
from tests.webhooks.conftest import HOOK_ID, GitHub, eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> GroupCommitter:
    """The receiver's group commit, in which no request runs out of time."""
    group = GroupCommitter()
    monkeypatch.setattr(intake, "_committer", group)
    monkeypatch.setattr(group_commit, "OVERDUE_S", 60)
    return group


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(12) as pool:
        yield pool


@contextmanager
def nobody_can_write() -> Iterator[None]:
    """A request that stores a delivery inside waits until the block ends."""
    connection.ensure_connection()
    info = connection.connection.info
    with psycopg.connect(info.dsn, password=info.password or None) as other:
        other.execute("LOCK TABLE webhooks_delivery IN SHARE ROW EXCLUSIVE MODE")
        yield


@contextmanager
def somebody_holds(guid: uuid.UUID) -> Iterator[None]:
    """The row of this delivery is locked until the block ends."""
    info = connection.connection.info
    with psycopg.connect(info.dsn, password=info.password or None) as other:
        other.execute("SELECT FROM webhooks_delivery WHERE guid = %s FOR UPDATE", [guid])
        yield


def disconnecting(act: Callable[[], object]) -> Callable[[], object]:
    """The same on a thread of its own, which leaves no database connection behind."""

    def run() -> object:
        try:
            return act()
        finally:
            connection.close()

    return run


def delivery(*, signed_by: str = "", guid: uuid.UUID | None = None, content: bytes = b"{}") -> NewDelivery:
    hook = GitHubHook(hook_id=HOOK_ID, guid=guid or uuid.uuid4(), event="made_up", headers={})
    routing = Routing(action="", installation_id=None, repository_id=None)
    return NewDelivery(hook=hook, content=content, routing=routing, source=1, signed_by=signed_by)


@pytest.mark.parametrize("swapped", [b'{"of": "another statement"}', [b'{"of": "another statement"}']])
def test_content_that_is_not_what_was_posted_is_never_stored(
    github: GitHub, monkeypatch: pytest.MonkeyPatch, swapped: bytes | list[bytes]
) -> None:
    """A pooler that mixes prepared statements runs one with the parameters of another."""
    prepare = group_commit._parameters
    monkeypatch.setattr(group_commit, "_parameters", lambda parcels: prepare(parcels) | {"contents": swapped})
    assert github.deliver().status_code == 503
    assert not Delivery.objects.exists()
    monkeypatch.undo()
    assert github.deliver().status_code == 202


def test_a_delivery_of_which_another_was_written_is_not_acknowledged(
    github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = group_commit._parameters
    monkeypatch.setattr(group_commit, "_parameters", lambda _: prepare([delivery()]))
    assert github.deliver().status_code == 503


def transactions() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(DISTINCT xmin::text) FROM webhooks_delivery")
        return int(cursor.fetchone()[0])


def test_those_who_come_while_one_is_written_are_written_together(
    github: GitHub, group: GroupCommitter, threads: ThreadPoolExecutor
) -> None:
    with nobody_can_write():
        first = threads.submit(disconnecting(lambda: GitHub().deliver().status_code))
        eventually(lambda: group._writers)
        others = [threads.submit(disconnecting(lambda: GitHub().deliver().status_code)) for _ in range(9)]
        eventually(lambda: len(group._waiters) == 9)
    assert [one.result() for one in (first, *others)] == [202] * 10
    assert Delivery.objects.count() == 10
    assert transactions() == 2


def test_a_key_that_comes_twice_at_once_is_one_row(group: GroupCommitter, threads: ThreadPoolExecutor) -> None:
    guid = uuid.uuid4()
    with nobody_can_write():
        first = threads.submit(disconnecting(lambda: group.store(delivery())))
        eventually(lambda: group._writers)
        twice = [threads.submit(disconnecting(lambda: group.store(delivery(guid=guid)))) for _ in range(2)]
        eventually(lambda: len(group._waiters) == 2)
    first.result()
    kept = [one.result() for one in twice]
    assert sorted(isinstance(one, StoredDelivery) and one.is_new for one in kept) == [False, True]
    assert Delivery.objects.count() == 2


def test_one_that_cannot_be_written_spoils_none_beside_it(group: GroupCommitter, threads: ThreadPoolExecutor) -> None:
    with nobody_can_write():
        first = threads.submit(disconnecting(lambda: group.store(delivery())))
        eventually(lambda: group._writers)
        good = [threads.submit(disconnecting(lambda: group.store(delivery()))) for _ in range(3)]
        bad = threads.submit(disconnecting(lambda: group.store(delivery(signed_by="\x00"))))
        eventually(lambda: len(group._waiters) == 4)
    assert all(isinstance(one.result(), StoredDelivery) for one in (first, *good))
    assert isinstance(bad.exception(), DatabaseError)
    assert Delivery.objects.count() == 4


def test_a_row_that_somebody_holds_costs_none_beside_it_its_answer(
    group: GroupCommitter, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    guid = uuid.uuid4()
    group.store(delivery(guid=guid))
    options = connection.settings_dict["OPTIONS"]
    monkeypatch.setitem(options, "options", f"{options.get('options', '')} -c lock_timeout=300")  # as web has one
    monkeypatch.setattr(group_commit, "LONGEST_WAIT_S", 60)  # so that the lock times out first
    group._writers = 1  # somebody writes
    repeated = threads.submit(disconnecting(lambda: group.store(delivery(guid=guid))))
    others = [threads.submit(disconnecting(lambda: group.store(delivery()))) for _ in range(3)]
    eventually(lambda: len(group._waiters) == 4)
    with somebody_holds(guid):
        with group._lock:
            group._writers = 0
            group._elect_leader()
        assert all(isinstance(one.result(), StoredDelivery) for one in others)
        assert isinstance(repeated.exception(), DatabaseError)
    assert group._writers == 0


def test_large_bodies_are_not_gathered(group: GroupCommitter, threads: ThreadPoolExecutor) -> None:
    large = b" " * (group_commit.MOST_BYTES_TOGETHER // 2 + 1)
    with nobody_can_write():
        first = threads.submit(disconnecting(lambda: group.store(delivery())))
        eventually(lambda: group._writers)
        others = [threads.submit(disconnecting(lambda: group.store(delivery(content=large)))) for _ in range(3)]
        eventually(lambda: len(group._waiters) == 3)
    assert all(isinstance(one.result(), StoredDelivery) for one in (first, *others))
    assert transactions() == 4


def test_the_database_may_take_longer_over_a_large_body(
    group: GroupCommitter, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = connection.settings_dict["OPTIONS"]
    monkeypatch.setitem(options, "options", f"{options.get('options', '')} -c statement_timeout=2000")
    assert group_commit.longest_wait_s(25 * 2**20) > 10
    assert group_commit.longest_wait_s(group_commit.MOST_BYTES_TOGETHER) == group_commit.LONGEST_WAIT_S
    monkeypatch.setattr(group_commit, "LONGEST_WAIT_S", 60)  # so that the statement times out first
    large = b" " * (group_commit.MOST_BYTES_TOGETHER + 1)
    with nobody_can_write():
        patient = threads.submit(disconnecting(lambda: group_commit.write([delivery(content=large)])))
        hurried = threads.submit(disconnecting(lambda: group_commit.write([delivery()])))
        assert isinstance(hurried.exception(), DatabaseError)
        assert not patient.done()
    assert patient.result()


def test_the_buffer_of_a_large_body_goes_with_its_connection() -> None:
    group_commit.write([delivery()])
    assert connection.connection is not None
    group_commit.write([delivery(content=b" " * (group_commit.MOST_BYTES_TOGETHER + 1))])
    assert connection.connection is None


def test_a_slow_write_holds_up_nobody(
    group: GroupCommitter, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "OVERDUE_S", 0.01)
    with nobody_can_write():
        slow = [threads.submit(disconnecting(lambda: group.store(delivery()))) for _ in range(5)]
        eventually(lambda: not group._waiters)  # nobody waits for anybody else
    assert all(isinstance(one.result(), StoredDelivery) for one in slow)


def test_every_one_of_a_write_that_fails_is_told(
    group: GroupCommitter, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "LONGEST_WAIT_S", 0.5)
    with nobody_can_write():
        first = threads.submit(disconnecting(lambda: group.store(delivery())))
        eventually(lambda: group._writers)
        others = [threads.submit(disconnecting(lambda: group.store(delivery()))) for _ in range(3)]
        # The server may still commit what it was given: harmless, for GitHub delivers again under the same key.
        assert all(isinstance(one.exception(), DatabaseError) for one in (first, *others))
    assert group._writers == 0

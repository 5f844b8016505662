"""Recalculations that meet each other, and facts that arrive while one runs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from apps.activity.models import Change
from apps.metrics import recalculation
from apps.metrics.changes import ChangeAtHand
from apps.metrics.derivation import derived_kinds
from apps.metrics.models import DerivedPullRequest
from apps.metrics.recalculation import drain
from tests.metrics import fixture_a
from tests.metrics.comparing import assert_equals_rebuild
from tests.metrics.steps import PullRequestSteps, instant, record_facts


@contextmanager
def held(event: threading.Event, reached: threading.Event, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stop the next recalculation of pull requests after it has read its facts, before it writes."""
    derive = derived_kinds.pull_requests.derive
    holder = threading.current_thread().name

    def stopping(scopes: object) -> object:
        derived = derive(scopes)  # type: ignore[arg-type]
        if threading.current_thread().name != holder and not reached.is_set():
            reached.set()
            assert event.wait(30)
        return derived

    monkeypatch.setattr(derived_kinds.pull_requests, "derive", stopping)
    yield
    event.set()


@pytest.mark.django_db(transaction=True)
def test_a_fact_that_arrives_between_the_read_and_the_write_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first recalculation has read an open pull request when its merge arrives; a second waits for the first."""
    tale = PullRequestSteps(1, "ana").opened("03-02 10:00").merged("03-02 12:00")
    record_facts(*tale.steps[0])
    go_on, has_read = threading.Event(), threading.Event()
    with held(go_on, has_read, monkeypatch):
        first = in_a_thread(lambda: drain(seconds=60))
        assert has_read.wait(30)
        record_facts(*tale.steps[1])
        second = in_a_thread(lambda: drain(seconds=60))
        wait_until_blocked()
        assert not DerivedPullRequest.objects.exists()
        go_on.set()
        first.join(30)
        second.join(30)
    assert DerivedPullRequest.objects.get().merged_at == instant("03-02 12:00")
    assert not Change.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_recalculation_that_fails_loses_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    record_facts(*PullRequestSteps(1, "ana").opened("03-02 10:00").steps[0])
    waiting = Change.objects.count()
    with monkeypatch.context() as broken:
        broken.setattr(recalculation, "recalculate", lambda found: 1 / 0)
        assert drain(seconds=60)
    assert 0 < Change.objects.count() <= waiting
    Change.objects.update(recorded_at=Now())  # the while for which a broken change is set aside is over
    assert drain(seconds=60)
    assert DerivedPullRequest.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_several_recalculations_share_the_work() -> None:
    for step in fixture_a.steps():
        record_facts(*step)
    threads = [in_a_thread(lambda: drain(seconds=60)) for _ in range(4)]
    for thread in threads:
        thread.join(60)
    assert drain(seconds=60)
    assert DerivedPullRequest.objects.filter(merged_at__isnull=False).count() == 6
    assert_equals_rebuild()


@pytest.mark.django_db(transaction=True)
def test_a_change_is_not_taken_from_a_recalculation_that_holds_it() -> None:
    Change.objects.create(kind=Change.Kind.TEAM, key="1")
    taken: list[int] = []
    with transaction.atomic():
        assert len(recalculation.claim([Change.Kind.TEAM], limit=5)) == 1
        other = in_a_thread(lambda: taken.append(len(claimed_elsewhere())))
        other.join(30)
    assert taken == [0]


def claimed_elsewhere() -> list[ChangeAtHand]:
    with transaction.atomic():
        return recalculation.claim([Change.Kind.TEAM], limit=5)


def in_a_thread(work: object) -> threading.Thread:
    def run() -> None:
        try:
            work()  # type: ignore[operator]
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def wait_until_blocked() -> None:
    """Until some connection waits for an advisory lock."""
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    pause = threading.Event()
    for _ in range(3000):
        with connection.cursor() as cursor:
            cursor.execute(waiting)
            if cursor.fetchone()[0]:
                return
        pause.wait(0.01)
    raise AssertionError("Nobody waits for the lock.")

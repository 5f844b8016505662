"""The dispatcher: what is always looked for comes first, and a plan that fails or takes long stops nothing else."""

from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError, connection

from apps.jobs import dispatch as dispatching
from apps.jobs import registry, wakeups
from apps.jobs.models import PlanTime
from apps.jobs.registry import JobKind, Plan
from apps.jobs.tasks import dispatch
from tests.jobs.conftest import LIST

pytestmark = pytest.mark.django_db


def register(name: str, run: Callable[[], object], *, every_s: float = 60.0) -> None:
    registry.register_plan(Plan(name=name, run=run, every_s=every_s))


def note(ran: list[str], name: str) -> Callable[[], None]:
    return lambda: ran.append(name)


def pass_time() -> None:
    """Let every interval end."""
    PlanTime.objects.update(due_at="2020-01-01T00:00:00Z")


def fail() -> None:
    raise ValueError("no")


def test_a_plan_runs_once_in_its_interval_and_deliveries_are_looked_for_each_time_and_first(ran: list[str]) -> None:
    register("hourly", note(ran, "hourly"))
    register("deliveries", note(ran, "deliveries"), every_s=0)
    dispatch()
    dispatch()
    assert ran == ["deliveries", "hourly", "deliveries"]
    pass_time()
    dispatch()
    assert ran[3:] == ["deliveries", "hourly"]


def test_a_plan_that_fails_stops_no_other_and_fails_the_task(
    ran: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wakeups, "enqueue_due", note(ran, "jobs"))
    register("a", fail)
    register("b", note(ran, "b"))
    with pytest.raises(ExceptionGroup) as failed:
        dispatch()
    assert [str(error) for error in failed.value.exceptions] == ["no"]
    assert [record.__dict__["plan"] for record in caplog.records if record.msg == "plan_failed"] == ["a"]
    assert ran == ["b", "jobs"]
    dispatch()
    assert ran == ["b", "jobs", "jobs"], "what failed is tried again after its interval"


def test_a_database_that_is_away_ends_the_dispatch_at_once(ran: list[str]) -> None:
    def lose() -> None:
        raise OperationalError("the connection is closed")

    register("a", lose, every_s=0)
    register("b", note(ran, "b"))
    with pytest.raises(OperationalError):
        dispatch()
    assert ran == []
    registry.register_plan(Plan(name="a", run=note(ran, "a"), every_s=0))
    dispatch()
    assert ran == ["a", "b"], "what had no turn is due still"


def test_what_follows_a_plan_that_takes_all_the_time_comes_first_in_the_next_dispatch(ran: list[str]) -> None:
    def take_all_the_time() -> None:
        ran.append("slow")
        raise SoftTimeLimitExceeded

    register("a", take_all_the_time)
    register("b", note(ran, "b"))
    with pytest.raises(SoftTimeLimitExceeded):
        dispatch()
    pass_time()
    with pytest.raises(SoftTimeLimitExceeded):
        dispatch()
    assert ran == ["slow", "b", "slow"]


@pytest.mark.django_db(transaction=True)
def test_while_a_plan_is_slow_other_dispatches_look_for_deliveries_and_pass_it_by(ran: list[str]) -> None:
    has_begun, may_end = Event(), Event()

    def be_slow() -> None:
        ran.append("slow")
        if not has_begun.is_set():
            has_begun.set()
            assert may_end.wait(30)

    def dispatch_once() -> None:
        try:
            dispatching.dispatch()
        finally:
            connection.close()

    register("deliveries", note(ran, "deliveries"), every_s=0)
    register("slow", be_slow)
    slow = Thread(target=dispatch_once)
    slow.start()
    try:
        assert has_begun.wait(30)
        dispatch()
    finally:
        may_end.set()
        slow.join()
    assert ran == ["deliveries", "slow", "deliveries"]


def test_the_task_has_the_limits_of_what_must_not_keep_a_worker_from_deliveries() -> None:
    assert (dispatch.soft_time_limit, dispatch.time_limit) == (15, 30)


def test_where_beat_has_just_started_all_are_due_and_kinds_learn_of_it(ran: list[str]) -> None:
    learned: list[bool] = []
    kind: Any = JobKind(name=LIST, priority=0, run=lambda job, deadline_s: None, plan=learned.append)
    registry.register(kind)
    register("hourly", note(ran, "hourly"))
    dispatch()
    dispatch(at_start=True)
    assert learned == [False, True]
    assert ran == ["hourly", "hourly"]

"""A worker that cannot work reconnects or ends; one that is slow or busy does not (tformance/worker_health.py)."""

import itertools
import os
import subprocess
import sys
import uuid
from collections.abc import Collection, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app
from django.test.utils import override_settings
from kombu import Consumer, Queue

from tformance import worker_health
from tformance.worker_health import (
    LOOK_EVERY_S,
    LOOKS,
    PREFETCH_LOOKS,
    Child,
    Children,
    Look,
    LoopWatch,
    PrefetchCheck,
    StuckPrefetchError,
    StuckWorkerCheck,
    find_fault,
)

FIRST, SECOND = Child(1, 10.0), Child(2, 11.0)


def look(
    in_hand: str = "", *, busy: Collection[Child] = (), idle: Collection[Child] = (), taken: int = 0, empty: bool = True
) -> Look:
    return Look(
        in_hand=frozenset(in_hand), busy=frozenset(busy), idle=frozenset(idle), taken=taken, is_queue_empty=empty
    )


@pytest.mark.parametrize(
    ("seen", "fault"),
    [
        (look("a", idle=[FIRST, SECOND]), "no child works on"),
        (look("ab", busy=[FIRST], idle=[SECOND]), "no child works on"),
        (look(empty=False, idle=[FIRST]), "none of them arrives"),
        (look("a", busy=[FIRST], idle=[SECOND]), ""),  # a long task, and a child with nothing to do
        (look("abc", busy=[FIRST, SECOND]), ""),  # one more than there are children waits for them
        (look("ab", busy=[FIRST, SECOND], empty=False), ""),  # a queue that is longer than hands are many
        (look(idle=[FIRST, SECOND]), ""),
    ],
)
def test_a_state_that_is_wrong_at_every_check_is_a_fault(seen: Look, fault: str) -> None:
    assert fault in find_fault([seen] * LOOKS)
    assert bool(find_fault([seen] * LOOKS)) is bool(fault)
    assert not find_fault([seen] * (LOOKS - 1))
    assert not find_fault([*[seen] * (LOOKS - 1), look(idle=[FIRST])])


def test_a_worker_with_changing_requests_is_not_stuck() -> None:
    passing = [look(name, idle=[Child(1, float(number))], taken=number) for number, name in enumerate("abcdef")]
    assert len(passing) == LOOKS
    assert not find_fault(passing)


def test_a_child_with_one_task_after_another_is_not_idle() -> None:
    looks = [look("a", idle=[Child(1, float(number))]) for number in range(LOOKS)]
    assert not find_fault(looks)


def test_a_worker_that_receives_messages_is_not_stuck() -> None:
    assert not find_fault([look(empty=False, taken=number) for number in range(LOOKS)])


def test_the_main_process_sees_the_state_of_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    children = Children()
    monkeypatch.setattr(worker_health.current_process(), "index", 3, raising=False)
    for is_busy in (True, False):
        if (pid := os.fork()) == 0:
            children.say(is_busy=is_busy)
            os._exit(0)
        os.waitpid(pid, 0)
        (child,) = children.seen({pid}, is_busy=is_busy)
        assert child.pid == pid
        assert not children.seen({pid}, is_busy=not is_busy)
        assert not children.seen({os.getpid()}, is_busy=is_busy)


def test_an_event_loop_counts_as_stuck_only_while_the_broker_answers() -> None:
    watch = LoopWatch()
    watch.turned_at_s -= LOOK_EVERY_S * LOOKS * 2
    with override_settings(REDIS_URL="redis://127.0.0.1:1/0"):
        worker_health._redis.cache_clear()
        assert not any(watch.stands_still() for _ in range(LOOKS * 2))
    worker_health._redis.cache_clear()
    answers = list(itertools.islice(iter(watch.stands_still, None), LOOKS // 2))
    assert answers == [False] * (LOOKS // 2 - 1) + [True]


def test_a_running_event_loop_is_not_stuck() -> None:
    watch = LoopWatch()
    assert not any(watch.stands_still() for _ in range(LOOKS * 2))


@pytest.mark.proof
@pytest.mark.parametrize("holds_the_log", [False, True])
def test_a_stuck_worker_ends_even_if_the_log_is_blocked(holds_the_log: bool) -> None:
    code = (
        "import logging, threading; from tformance import worker_health\n"
        f"lock = logging.lastResort.lock if {holds_the_log} else threading.Lock()\n"
        "holder = threading.Thread(target=lock.acquire); holder.start(); holder.join()\n"
        "worker_health.end('because'); print('still here')"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (answer.returncode, answer.stdout) == (1, "")


def test_every_worker_watches_itself() -> None:
    assert StuckWorkerCheck in current_app.steps["consumer"]


WINDOW = 2


@pytest.fixture
def consumer() -> Iterator[Consumer]:
    """A real consumer on the suite's Redis whose prefetch window is full of messages that nobody acknowledges."""
    queue = Queue(f"unacknowledged-{uuid.uuid4()}", routing_key="unacknowledged", auto_delete=True)
    with current_app.connection_for_read() as connection:
        channel = connection.channel()
        channel.basic_qos(0, WINDOW, False)
        consumer = Consumer(channel, queues=[queue], callbacks=[lambda body, message: None])
        consumer.consume()
        producer = connection.Producer()
        for _ in range(WINDOW):
            producer.publish({}, routing_key=queue.name)
            connection.drain_events(timeout=10)
        assert not channel.qos.can_consume()
        yield consumer
        channel.qos._delivered.clear()
        consumer.queues[0].delete()


def look_at(check: PrefetchCheck, consumer: Consumer, *, times: int) -> None:
    parent: Any = SimpleNamespace(task_consumer=consumer)
    for _ in range(times):
        check._look(parent)


def test_messages_that_nobody_will_acknowledge_make_the_consumer_start_over(consumer: Consumer) -> None:
    with pytest.raises(StuckPrefetchError):
        look_at(PrefetchCheck(None), consumer, times=PREFETCH_LOOKS)


def test_celery_reconnects_on_the_error_of_a_stuck_prefetch_window() -> None:
    with current_app.connection_for_read() as connection:
        assert issubclass(StuckPrefetchError, connection.connection_errors)


def test_an_acknowledgement_under_way_gets_time_to_arrive(consumer: Consumer) -> None:
    look_at(PrefetchCheck(None), consumer, times=PREFETCH_LOOKS - 1)


def test_messages_whose_tasks_still_run_are_left_alone(consumer: Consumer, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = {tag: SimpleNamespace(message=SimpleNamespace(delivery_tag=tag)) for tag in consumer.channel.qos._delivered}
    monkeypatch.setattr("tformance.worker_health.requests", tasks)
    look_at(PrefetchCheck(None), consumer, times=PREFETCH_LOOKS * 2)


def test_every_worker_checks_its_prefetch_window() -> None:
    assert PrefetchCheck in current_app.steps["consumer"]

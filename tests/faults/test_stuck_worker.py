"""A worker that cannot work ends (tformance/stuck_worker.py); one that is slow or busy does not."""

import itertools
import os
import subprocess
import sys
from collections.abc import Collection

import pytest
from celery import current_app
from django.test.utils import override_settings

from tformance import stuck_worker
from tformance.stuck_worker import LOOK_EVERY_S, LOOKS, Child, Children, Look, LoopWatch, StuckWorker, find_fault

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
def test_what_stays_wrong_at_every_look_is_a_fault(seen: Look, fault: str) -> None:
    assert fault in find_fault([seen] * LOOKS)
    assert bool(find_fault([seen] * LOOKS)) is bool(fault)
    assert not find_fault([seen] * (LOOKS - 1))
    assert not find_fault([*[seen] * (LOOKS - 1), look(idle=[FIRST])])


def test_requests_that_come_and_go_are_work() -> None:
    passing = [look(name, idle=[Child(1, float(number))], taken=number) for number, name in enumerate("abcdef")]
    assert len(passing) == LOOKS
    assert not find_fault(passing)


def test_a_child_that_is_at_one_task_after_the_other_is_not_idle() -> None:
    looks = [look("a", idle=[Child(1, float(number))]) for number in range(LOOKS)]
    assert not find_fault(looks)


def test_messages_that_arrive_are_work_however_many_wait() -> None:
    assert not find_fault([look(empty=False, taken=number) for number in range(LOOKS)])


def test_what_a_child_says_of_itself_is_seen_by_the_main_process(monkeypatch: pytest.MonkeyPatch) -> None:
    children = Children()
    monkeypatch.setattr(stuck_worker.current_process(), "index", 3, raising=False)
    for is_busy in (True, False):
        if (pid := os.fork()) == 0:
            children.say(is_busy=is_busy)
            os._exit(0)
        os.waitpid(pid, 0)
        (child,) = children.seen({pid}, is_busy=is_busy)
        assert child.pid == pid
        assert not children.seen({pid}, is_busy=not is_busy)
        assert not children.seen({os.getpid()}, is_busy=is_busy)


def test_a_loop_that_stands_still_counts_only_while_the_broker_answers() -> None:
    watch = LoopWatch()
    watch.turned_at_s -= LOOK_EVERY_S * LOOKS * 2
    with override_settings(REDIS_URL="redis://127.0.0.1:1/0"):
        stuck_worker._redis.cache_clear()
        assert not any(watch.stands_still() for _ in range(LOOKS * 2))
    stuck_worker._redis.cache_clear()
    answers = list(itertools.islice(iter(watch.stands_still, None), LOOKS // 2))
    assert answers == [False] * (LOOKS // 2 - 1) + [True]


def test_a_loop_that_turns_stands_never_still() -> None:
    watch = LoopWatch()
    assert not any(watch.stands_still() for _ in range(LOOKS * 2))


@pytest.mark.proof
@pytest.mark.parametrize("holds_the_log", [False, True])
def test_it_ends_though_nobody_can_write_to_the_log(holds_the_log: bool) -> None:
    code = (
        "import logging, threading; from tformance import stuck_worker\n"
        f"lock = logging.lastResort.lock if {holds_the_log} else threading.Lock()\n"
        "holder = threading.Thread(target=lock.acquire); holder.start(); holder.join()\n"
        "stuck_worker.end('because'); print('still here')"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (answer.returncode, answer.stdout) == (1, "")


def test_every_worker_watches_itself() -> None:
    assert StuckWorker in current_app.steps["consumer"]

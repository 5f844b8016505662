"""Health of workers: a heartbeat file, reconnection after lost acknowledgements, and the end of stuck workers.

Lost acknowledgements: when an acknowledgement meets a broken connection, Celery logs it and continues; but the message
stays in the prefetch window forever, because nobody acknowledges it again. Once the window is full of such messages
the worker asks for no more, waits on a socket that nobody writes to, and so never learns that its connection is gone
(compare celery#8030, #10302). `PrefetchCheck` reconnects such a worker.

Stuck workers live, hold messages and do nothing, and some ignore SIGTERM. There are three known causes. The event loop
stops: an error in it began a shutdown that waits forever, or it sleeps long after the broker is back. The main process
loses its place in the pipe from a child, as after a network partition: the results of its children are lost on the way.
Or the broker delivers no messages, although some are waiting. `StuckWorkerCheck` ends the process of such a worker, and
its supervisor starts it again. A fault is a state that stays the same over several checks, never how long something
took: a busy machine is slow everywhere.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from typing import Any

from billiard import current_process
from celery import bootsteps, signals
from celery.worker.state import requests, reserved_requests
from django.conf import settings
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from tformance.local.programs import STOP_SECONDS

LOOK_EVERY_S = 2
HEARTBEAT_EVERY_S = 10
PREFETCH_LOOKS = 3  # an acknowledgement that is under way has arrived by then
LOOKS = 6
"""A fault seen at six checks in a row does not resolve itself."""
MOST_CHILDREN = 256
LOGGING_MAY_TAKE_S = 2

logger = logging.getLogger(__name__)


class Heartbeat(bootsteps.StartStopStep):
    """Touch the file named by WORKER_HEARTBEAT_FILE, if set."""

    requires = ("celery.worker.consumer.tasks:Tasks",)  # last: it starts only when all before it are connected

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._path = os.environ.get("WORKER_HEARTBEAT_FILE", "")
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        """Start the timer; called again after each reconnection to the broker."""
        if self._path:
            self._touch()
            self._timer = parent.timer.call_repeatedly(HEARTBEAT_EVERY_S, self._touch)

    def stop(self, parent: Any) -> None:
        """Stop the timer: a worker without its broker is not healthy."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _touch(self) -> None:
        Path(self._path).touch()


class StuckPrefetchError(ConnectionError):
    """Messages fill the prefetch window although none of their tasks is left."""


class PrefetchCheck(bootsteps.StartStopStep):
    """Reconnect to the broker when messages without a task stay in the prefetch window."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._timer: Any = None
        self._seen: dict[str, int] = {}

    def start(self, parent: Any) -> None:
        """Start the check; called again after each reconnection to the broker."""
        self._seen = {}
        self._timer = parent.timer.call_repeatedly(LOOK_EVERY_S, self._look, (parent,))

    def stop(self, parent: Any) -> None:
        """Stop the check with the connection."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, parent: Any) -> None:
        """Raise a connection error, which makes the consumer start over with a new connection."""
        known = (*reserved_requests, *requests.values())
        orphans = unacknowledged(parent.task_consumer.channel.qos) - {one.message.delivery_tag for one in known}
        self._seen = {tag: self._seen.get(tag, 0) + 1 for tag in orphans}
        if any(looks >= PREFETCH_LOOKS for looks in self._seen.values()):
            raise StuckPrefetchError(f"{len(orphans)} messages were never acknowledged.")


def unacknowledged(window: Any) -> set[str]:
    """Return the delivery tags in the prefetch window."""
    return set(getattr(window, "_delivered", None) or ()) - set(getattr(window, "_dirty", None) or ())


@dataclass(frozen=True, slots=True)
class Child:
    """A child process, and since when it is busy or idle."""

    pid: int
    since_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The state at one moment: requests in the main process, and what each child reports."""

    in_hand: frozenset[str]
    busy: frozenset[Child]
    idle: frozenset[Child]
    taken: int  # messages since the start
    is_queue_empty: bool


def find_fault(looks: Sequence[Look]) -> str:
    """Return why this worker is stuck; empty if it may still work."""
    if len(looks) < LOOKS:
        return ""
    in_hand = frozenset.intersection(*(look.in_hand for look in looks))
    busy = frozenset.intersection(*(look.busy for look in looks))
    idle = frozenset.intersection(*(look.idle for look in looks))
    if idle and len(in_hand) > len(busy):
        return "Tasks are in hand that no child works on, although a child is idle."
    if all(not look.in_hand and not look.is_queue_empty for look in looks) and looks[0].taken == looks[-1].taken:
        return "Messages wait in the queues, and none of them arrives."
    return ""


class Children:
    """The states that the children report, in memory shared with the main process; made before the children are."""

    def __init__(self) -> None:
        self._said = RawArray("d", 3 * MOST_CHILDREN)  # of each: process id, whether it is busy, since when

    def say(self, *, is_busy: bool) -> None:
        """Record in a child whether it has a task."""
        place = getattr(current_process(), "index", None)
        if place is not None and place < MOST_CHILDREN:
            self._said[3 * place : 3 * place + 3] = [float(os.getpid()), float(is_busy), time.monotonic()]

    def seen(self, pids: set[int], *, is_busy: bool) -> frozenset[Child]:
        """Return which of these children are busy, or which are not."""
        rows = (self._said[place : place + 3] for place in range(0, len(self._said), 3))
        return frozenset(
            Child(int(pid), since_s) for pid, busy, since_s in rows if int(pid) in pids and bool(busy) is is_busy
        )


class LoopWatch:
    """A thread that ends the process if its event loop stands still although the broker answers."""

    def __init__(self) -> None:
        self.turned_at_s = time.monotonic()
        self._stopping_at_s: float | None = None
        self._answers = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, once."""
        self.turned_at_s = time.monotonic()
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="stuck-worker", daemon=True)
            self._thread.start()

    def note_stop(self) -> None:
        """Record that this worker was asked to stop and may finish its tasks."""
        self._stopping_at_s = time.monotonic()

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_EVERY_S)
            if self._stopping_at_s is not None:
                if time.monotonic() - self._stopping_at_s > STOP_SECONDS:
                    end("It was asked to stop and does not.")
            elif self.stands_still():
                end("The event loop stands still, although the broker answers.")

    def stands_still(self) -> bool:
        """Return whether the loop did not run during so many checks while the broker answered."""
        if time.monotonic() - self.turned_at_s < LOOK_EVERY_S * LOOKS or not broker_answers():
            self._answers = 0
        else:
            self._answers += 1
        return self._answers >= LOOKS // 2


class StuckWorkerCheck(bootsteps.StartStopStep):
    """Check every two seconds whether this worker is stuck, and end it if so."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._timer: Any = None
        self._looks: deque[Look] = deque(maxlen=LOOKS)

    def start(self, parent: Any) -> None:
        """Start the check; called again after each reconnection to the broker."""
        self._looks.clear()
        _loop.start()
        self._timer = parent.timer.call_repeatedly(LOOK_EVERY_S, self._look, (parent,))

    def stop(self, parent: Any) -> None:
        """Stop the check with the connection; the thread continues, because the loop must run again later."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, parent: Any) -> None:
        _loop.turned_at_s = time.monotonic()
        if parent.pool.num_processes and _children is not None:
            self._looks.append(look(parent))
            if fault := find_fault(self._looks):
                end(fault)


def look(parent: Any) -> Look:
    """Return the state of this worker now."""
    pids = set(parent.pool.info["processes"])
    return Look(
        in_hand=frozenset(one.id for one in reserved_requests if not one.eta),
        busy=_children.seen(pids, is_busy=True) if _children else frozenset(),
        idle=_children.seen(pids, is_busy=False) if _children else frozenset(),
        taken=_taken,
        is_queue_empty=are_empty([queue.name for queue in parent.task_consumer.queues]),
    )


def end(why: str) -> None:
    """End this process at once. Its work is due again when its leases expire."""
    threading.Timer(LOGGING_MAY_TAKE_S, os._exit, (1,)).start()  # another thread may hold the lock of the log forever
    logger.critical("worker_ends", extra={"reason": why})
    os._exit(1)


@cache
def _redis() -> Redis:
    return Redis.from_url(
        settings.REDIS_URL, socket_timeout=1.0, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), retries=1)
    )


def broker_answers() -> bool:
    """Return whether Redis answers within a second or two."""
    try:
        _redis().ping()
    except RedisError:
        return False
    return True


def are_empty(queues: Sequence[str]) -> bool:
    """Return whether the queues are empty; True if unknown."""
    try:
        with _redis().pipeline(transaction=False) as asked:
            for queue in queues:
                asked.llen(queue)
            return not any(asked.execute())
    except RedisError:
        return True


_children: Children | None = None
_loop = LoopWatch()
_taken = 0


@signals.worker_init.connect
def prepare(**_: Any) -> None:
    """Create the shared memory before the children are forked."""
    global _children  # noqa: PLW0603  one worker, one pool
    _children = Children()
    say_idle, say_busy = partial(_children.say, is_busy=False), partial(_children.say, is_busy=True)
    signals.worker_process_init.connect(lambda **_: say_idle(), weak=False)
    signals.task_prerun.connect(lambda **_: say_busy(), weak=False)
    signals.task_postrun.connect(lambda **_: say_idle(), weak=False)


@signals.task_received.connect
@signals.task_revoked.connect
def count_message(**_: Any) -> None:
    """Count arriving requests, even if they are too late."""
    global _taken  # noqa: PLW0603  one worker
    _taken += 1


@signals.worker_shutting_down.connect
def note_stop(**_: Any) -> None:
    """Record that this worker was asked to stop and may take as long as a stop may take."""
    _loop.note_stop()

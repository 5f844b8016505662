"""Wake the workers for new deliveries. A wake-up is a hint that may fail; the dispatcher finds what is due anyway."""

import logging
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.util import Finalize
from typing import Any, Generic, TypeVar

from celery import current_app
from kombu import Connection, Producer
from kombu.exceptions import KombuError
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

from apps.common.failpoints import failpoint
from apps.webhooks.overview import RINGS

Item = TypeVar("Item")
logger = logging.getLogger(__name__)


class BatchingPublisher(Generic[Item]):
    """One daemon thread per process, started by the first item; after a fork the child starts its own.

    After rest an item is handed over at once. Then comes a pause, so that whatever comes in quickly goes together: the
    longer, the more came.
    """

    def __init__(
        self,
        *,
        name: str,
        hand_over: Callable[[list[Item]], None],
        pause_s: float,
        longest_pause_s: float,
        capacity: int,
    ) -> None:
        self._name = name
        self._hand_over = hand_over
        self._pause_s = pause_s
        self._longest_pause_s = longest_pause_s
        self._capacity = capacity
        self.forget()
        _gatherers.add(self)

    def forget(self) -> None:
        """Start anew, as a child after a fork must."""
        self._starting = threading.Lock()
        self._items: queue.Queue[Item] = queue.Queue(maxsize=self._capacity)
        self._thread: threading.Thread | None = None

    def put(self, item: Item) -> bool:
        """Take an item over at once, or say False because too many wait."""
        try:
            self._items.put_nowait(item)
        except queue.Full:
            return False
        if self._thread is None:
            self._start()
        return True

    def finish(self, *, within_s: float) -> bool:
        """Wait until everything put in so far is handed over, but not longer; whether it is."""
        deadline_s = time.monotonic() + within_s
        while self._items.unfinished_tasks and time.monotonic() < deadline_s:
            time.sleep(self._pause_s / 4)
        return not self._items.unfinished_tasks

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, args=(self._items,), name=self._name, daemon=True)
                self._thread.start()

    def _work(self, items: "queue.Queue[Item]") -> None:
        while True:
            gathered = [items.get()]
            gathered.extend(items.get_nowait() for _ in range(items.qsize()))
            try:
                self._hand_over(gathered)
            except Exception:  # the thread outlives whatever its work runs into
                logger.exception("gatherer_failed", extra={"gatherer": self._name})
            for _ in gathered:
                items.task_done()
            time.sleep(min(self._pause_s * len(gathered), self._longest_pause_s))


_gatherers: "weakref.WeakSet[BatchingPublisher[Any]]" = weakref.WeakSet()


def _forget_all() -> None:
    for gatherer in list(_gatherers):
        gatherer.forget()


os.register_at_fork(after_in_child=_forget_all)

PROCESS_TASK = "apps.webhooks.tasks.process_deliveries"
SLOW_TASK = "apps.webhooks.tasks.process_slow_deliveries"
RECALCULATE_TASK = "apps.metrics.tasks.recalculate_stale"
COMPARE_TASK = "apps.webhooks.tasks.compare_bodies"
DISPATCH_TASK = "apps.webhooks.tasks.dispatch"
MOST_PER_MESSAGE = 50
# Between two messages of a process: publishing one, and a worker's batch, cost the less the more deliveries share them.
PAUSE_S = 0.05
LONGEST_PAUSE_S = 0.25
QUIET_AFTER_FAILURE_S = 2.0
SHUTDOWN_FLUSH_S = 1.0
# One attempt, bounded: a broker that accepts and never answers would block for ever (celery#4296).
BOUNDED = {"max_retries": 0, "socket_timeout": 1.0, "socket_connect_timeout": 0.5, "retry_on_timeout": False}
BROKER_ERRORS = (BrokerError, KombuError, RedisError, OSError)


@dataclass(frozen=True, slots=True)
class Wakeup:
    """A delivery to tell of; its key becomes the id of a task that tells of it alone."""

    id: int
    key: str


def publish(ids: Sequence[int], *, task_id: str | None = None, producer: Producer | None = None) -> None:
    """Send one message that names these deliveries, followed by a recalculation; raises one of BROKER_ERRORS."""
    recalculate = current_app.signature(RECALCULATE_TASK, immutable=True)
    current_app.send_task(
        PROCESS_TASK,
        args=[list(ids)],
        task_id=task_id,
        link=recalculate,
        producer=producer,
        retry=False,
        ignore_result=True,
    )


def enqueue_deliveries(ids: Sequence[int]) -> int:
    """Send as many messages as the deliveries need; how many were sent before the broker failed, if it did."""
    return send(
        partial(publish, ids[start : start + MOST_PER_MESSAGE]) for start in range(0, len(ids), MOST_PER_MESSAGE)
    )


def enqueue_next_batch() -> bool:
    """Tell the workers that there is post without naming any; whether the broker took the message."""
    return send([partial(publish, [])]) == 1


def enqueue_slow_delivery() -> bool:
    """Ask for a slow delivery to be processed, followed by a recalculation; whether the broker took the message."""
    return _ask_for(SLOW_TASK, link=current_app.signature(RECALCULATE_TASK, immutable=True))


def enqueue_recalculation() -> bool:
    """Ask for a recalculation alone; whether the broker took the message."""
    return _ask_for(RECALCULATE_TASK)


def enqueue_dispatch() -> bool:
    """Ask for a look into the inbox; whether the broker took the message."""
    return _ask_for(DISPATCH_TASK)


def enqueue_comparison() -> bool:
    """Ask for a comparison of bodies that came under a known key; whether the broker took the message."""
    return _ask_for(COMPARE_TASK)


def _ask_for(task: str, **options: Any) -> bool:
    return send([partial(current_app.send_task, task, retry=False, ignore_result=True, **options)]) == 1


def send(messages: Iterable[Callable[..., object]]) -> int:
    """Send until the broker fails, on a new connection: one kept from before may be half-open, and would take long.

    How many were sent. Each message is called with the `producer` to send by.
    """
    sent = 0
    with current_app.connection_for_write(transport_options=BOUNDED) as connection:
        producer = current_app.amqp.Producer(connection, auto_declare=False)
        for message in messages:
            try:
                message(producer=producer)
            except BROKER_ERRORS as error:
                RINGS.labels("failed").inc()
                logger.warning("ring_failed", extra={"error": type(error).__name__})
                break
            RINGS.labels("sent").inc()
            sent += 1
    return sent


FLUSH_PENDING = Wakeup(id=0, key="")
"""Not a delivery: the ring's own wish to make up for what it could not send."""


class Ring:
    """The one who rings in this process, on a broker connection of its own.

    It is quiet for a moment after a failure. What it could not send it owes: it tries until the broker takes a message
    that names no delivery, and has the workers take the oldest due.
    """

    def __init__(self, *, broker_url: str | None = None) -> None:
        self._broker_url = broker_url
        self._connection: Connection | None = None
        self._quiet_until_s = 0.0
        self._owes = False
        self._gatherer: BatchingPublisher[Wakeup] = BatchingPublisher(
            name="ring",
            hand_over=self.ring,
            pause_s=PAUSE_S,
            longest_pause_s=LONGEST_PAUSE_S,
            capacity=MOST_PER_MESSAGE * 100,
        )

    def tell(self, post: Wakeup) -> None:
        """Have the delivery rung for, at once after rest and within a moment under load; never waits for the broker."""
        if not self._gatherer.put(post):
            RINGS.labels("dropped").inc()

    def finish(self) -> bool:
        """Wait a moment for what was told already, as a process that stops should; whether it was all rung for."""
        return self._gatherer.finish(within_s=SHUTDOWN_FLUSH_S)

    def ring(self, posts: Sequence[Wakeup]) -> None:
        """Send the messages for these deliveries now, unless the broker failed a moment ago."""
        told = [post for post in posts if post is not FLUSH_PENDING]
        for start in range(0, len(told), MOST_PER_MESSAGE):
            outcome = self._try(told[start : start + MOST_PER_MESSAGE])
            RINGS.labels(outcome).inc()
            if outcome != "sent":
                self._schedule_retry()
        if len(told) < len(posts):
            self._make_up()

    def _try(self, posts: Sequence[Wakeup]) -> str:
        if time.monotonic() < self._quiet_until_s:
            return "skipped"
        try:
            task_id = posts[0].key if len(posts) == 1 else None
            failpoint("ring.before_publish")
            publish([post.id for post in posts], task_id=task_id, producer=self._producer())
            failpoint("ring.after_publish")
        except BROKER_ERRORS as error:
            self._quiet_until_s = time.monotonic() + QUIET_AFTER_FAILURE_S
            self._close()
            if posts:  # a failed flush has nothing new to say
                logger.warning("ring_failed", extra={"error": type(error).__name__})
            return "failed"
        return "sent"

    def _schedule_retry(self) -> None:
        """Send one wake-up after a failure, however many were lost."""
        if not self._owes:
            self._owes = True
            timer = threading.Timer(QUIET_AFTER_FAILURE_S, self._gatherer.put, (FLUSH_PENDING,))
            timer.daemon = True
            timer.start()

    def _make_up(self) -> None:
        self._owes = False
        if self._try([]) != "sent":
            self._schedule_retry()

    def _producer(self) -> Producer:
        if self._connection is None:
            self._connection = current_app.connection_for_write(url=self._broker_url, transport_options=BOUNDED)
        return current_app.amqp.Producer(self._connection, auto_declare=False)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()


_ring = Ring()
Finalize(None, _ring.finish, exitpriority=0)  # atexit's are not called in the server's processes: they were forked


def tell(post: Wakeup) -> None:
    """Tell the workers of a delivery that is committed; returns at once and never fails."""
    _ring.tell(post)

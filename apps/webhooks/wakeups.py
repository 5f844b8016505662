"""Wake-ups of workers for deliveries. One may be lost: what is due is found and notified of again every few seconds."""

import logging
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.util import Finalize
from typing import Any, Generic, TypeVar

from celery import current_app
from django.db.models.functions import Now
from kombu import Connection, Producer

from apps.common.failpoints import failpoint
from apps.jobs.wakeups import BOUNDED, BROKER_ERRORS, WAKEUPS, send
from apps.metrics.recalculation import RECALCULATE_TASK
from apps.webhooks import claims
from apps.webhooks.models import OtherBody

Item = TypeVar("Item")
logger = logging.getLogger(__name__)


class BatchingPublisher(Generic[Item]):
    """Publish items in batches from a daemon thread per process, started by the first item, also after a fork.

    The first item after a pause is published at once. Then the thread pauses, longer after more items, so that items
    that arrive quickly are published together.
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
        _publishers.add(self)

    def forget(self) -> None:
        """Reset the queue and the thread, as a child must after a fork."""
        self._starting = threading.Lock()
        self._items: queue.Queue[Item] = queue.Queue(maxsize=self._capacity)
        self._thread: threading.Thread | None = None

    def put(self, item: Item) -> bool:
        """Queue an item without blocking; return False if too many wait."""
        try:
            self._items.put_nowait(item)
        except queue.Full:
            return False
        if self._thread is None:
            self._start()
        return True

    def finish(self, *, within_s: float) -> bool:
        """Wait until all queued items are published, at most this long; return whether they are."""
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
            items_to_send = [items.get()]
            items_to_send.extend(items.get_nowait() for _ in range(items.qsize()))
            try:
                self._hand_over(items_to_send)
            except Exception:  # the thread must survive any error
                logger.exception("publisher_failed", extra={"publisher": self._name})
            for _ in items_to_send:
                items.task_done()
            time.sleep(min(self._pause_s * len(items_to_send), self._longest_pause_s))


_publishers: "weakref.WeakSet[BatchingPublisher[Any]]" = weakref.WeakSet()


def _forget_all() -> None:
    for publisher in list(_publishers):
        publisher.forget()


os.register_at_fork(after_in_child=_forget_all)

PROCESS_TASK = "apps.webhooks.tasks.process_deliveries"
SLOW_TASK = "apps.webhooks.tasks.process_slow_deliveries"
MOST_PER_MESSAGE = 50
# The pause between two messages of a process: the more deliveries share a message and a batch, the less each costs.
PAUSE_S = 0.05
LONGEST_PAUSE_S = 0.25
QUIET_AFTER_FAILURE_S = 2.0
SHUTDOWN_FLUSH_S = 1.0


@dataclass(frozen=True, slots=True)
class Wakeup:
    """A delivery to notify workers of; its key becomes the task id of a message with this delivery alone."""

    id: int
    key: str


def publish(ids: Sequence[int], *, task_id: str | None = None, producer: Producer | None = None) -> None:
    """Send one message with these delivery ids, followed by a recalculation; raises one of BROKER_ERRORS."""
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
    """Send as many messages as the deliveries need; return how many were sent before the broker failed."""
    return send(
        partial(publish, ids[start : start + MOST_PER_MESSAGE]) for start in range(0, len(ids), MOST_PER_MESSAGE)
    )


def enqueue_next_batch() -> bool:
    """Wake a worker for the oldest due deliveries; return whether the broker accepted the message."""
    return send([partial(publish, [])]) == 1


def enqueue_slow_delivery() -> bool:
    """Wake a worker for a slow delivery, followed by a recalculation; return whether the message was sent."""
    recalculate = current_app.signature(RECALCULATE_TASK, immutable=True)
    wake = partial(current_app.send_task, SLOW_TASK, link=recalculate, retry=False, ignore_result=True)
    return send([wake]) == 1


@dataclass(frozen=True, slots=True)
class Dispatched:
    """The deliveries that workers were notified of again, and the messages that were sent for them."""

    deliveries: int
    messages: int


def dispatch_deliveries() -> Dispatched:
    """Wake workers for due deliveries of which none was notified for 5 s, and for bodies to be compared."""
    marked = claims.mark_notified()
    if marked:
        failpoint("dispatch.after_mark")
    ids = [row_id for row_id, waits_alone in marked if not waits_alone]
    messages = enqueue_deliveries(ids)
    if len(ids) < len(marked) or OtherBody.objects.filter(not_before__lte=Now()).exists():
        messages += enqueue_slow_delivery()
    if marked:
        logger.info("dispatched", extra={"deliveries": len(marked), "messages": messages})
    return Dispatched(deliveries=len(marked), messages=messages)


FLUSH_PENDING = Wakeup(id=0, key="")
"""Not a delivery: requests one message for all wake-ups that could not be sent."""


class WakeupSender:
    """The sender of wake-ups in this process, with its own broker connection.

    It pauses for a moment after a failure. For what it could not send, it retries a message without ids until the
    broker accepts it; workers then claim the oldest due deliveries.
    """

    def __init__(self, *, broker_url: str | None = None) -> None:
        self._broker_url = broker_url
        self._connection: Connection | None = None
        self._quiet_until_s = 0.0
        self._must_flush = False
        self._publisher: BatchingPublisher[Wakeup] = BatchingPublisher(
            name="wakeups",
            hand_over=self.send_now,
            pause_s=PAUSE_S,
            longest_pause_s=LONGEST_PAUSE_S,
            capacity=MOST_PER_MESSAGE * 100,
        )

    def notify(self, wakeup: Wakeup) -> None:
        """Queue a wake-up, which is sent within a moment; never waits for the broker."""
        if not self._publisher.put(wakeup):
            WAKEUPS.labels("dropped").inc()

    def finish(self) -> bool:
        """Wait a moment for queued wake-ups when the process stops; return whether all were sent."""
        return self._publisher.finish(within_s=SHUTDOWN_FLUSH_S)

    def send_now(self, wakeups: Sequence[Wakeup]) -> None:
        """Send these wake-ups now, unless the broker failed a moment ago."""
        real = [wakeup for wakeup in wakeups if wakeup is not FLUSH_PENDING]
        for start in range(0, len(real), MOST_PER_MESSAGE):
            outcome = self._try(real[start : start + MOST_PER_MESSAGE])
            WAKEUPS.labels(outcome).inc()
            if outcome != "sent":
                self._schedule_retry()
        if len(real) < len(wakeups):
            self._flush()

    def _try(self, wakeups: Sequence[Wakeup]) -> str:
        if time.monotonic() < self._quiet_until_s:
            return "skipped"
        try:
            task_id = wakeups[0].key if len(wakeups) == 1 else None
            failpoint("wakeup.before_publish")
            publish([wakeup.id for wakeup in wakeups], task_id=task_id, producer=self._producer())
            failpoint("wakeup.after_publish")
        except BROKER_ERRORS as error:
            self._quiet_until_s = time.monotonic() + QUIET_AFTER_FAILURE_S
            self._close()
            if wakeups:  # a failed flush has nothing new to say
                logger.warning("wakeup_failed", extra={"error": type(error).__name__})
            return "failed"
        return "sent"

    def _schedule_retry(self) -> None:
        """Send one wake-up after a failure, however many were lost."""
        if not self._must_flush:
            self._must_flush = True
            timer = threading.Timer(QUIET_AFTER_FAILURE_S, self._publisher.put, (FLUSH_PENDING,))
            timer.daemon = True
            timer.start()

    def _flush(self) -> None:
        self._must_flush = False
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


_sender = WakeupSender()
Finalize(None, _sender.finish, exitpriority=0)  # atexit's are not called in the server's processes: they were forked


def notify(wakeup: Wakeup) -> None:
    """Wake workers for a committed delivery; returns at once and never fails."""
    _sender.notify(wakeup)

"""A background thread that hands on what request threads put in, many at once when there is much; nobody waits."""

import logging
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
logger = logging.getLogger(__name__)


class Gatherer(Generic[Item]):
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


_gatherers: "weakref.WeakSet[Gatherer[Any]]" = weakref.WeakSet()


def _forget_all() -> None:
    for gatherer in list(_gatherers):
        gatherer.forget()


os.register_at_fork(after_in_child=_forget_all)

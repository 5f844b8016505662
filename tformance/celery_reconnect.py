"""Reconnection of a worker that no longer receives messages.

When an acknowledgement meets a broken connection, Celery logs it and goes on; but the message stays in the prefetch
window for ever, for nobody acknowledges it again. Once the window is full of such messages the worker asks for no more,
waits on a socket that nobody writes to, and so never learns that its connection is gone (compare celery#8030, #10302).
"""

from typing import Any

from celery import bootsteps
from celery.worker.state import requests, reserved_requests

LOOK_EVERY_S = 2
MOST_LOOKS = 3  # an acknowledgement that is merely under way is gone by then


class DeafWorkerError(ConnectionError):
    """Messages fill the prefetch window although none of their tasks is left."""


class Hearing(bootsteps.StartStopStep):
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
        if any(looks >= MOST_LOOKS for looks in self._seen.values()):
            raise DeafWorkerError(f"{len(orphans)} messages were never acknowledged.")


def unacknowledged(window: Any) -> set[str]:
    """Return the delivery tags in the prefetch window."""
    return set(getattr(window, "_delivered", None) or ()) - set(getattr(window, "_dirty", None) or ())

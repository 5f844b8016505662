"""Every worker has the letterbox looked into by itself, so nothing hangs on beat: not on its life, nor on its clock."""

from typing import Any

from celery import bootsteps

from apps.webhooks.bell import ring

LOOK_EVERY_S = 5
QUEUE = "live"


class Looking(bootsteps.StartStopStep):
    """Ring for the dispatcher while this worker listens to the queue that its message goes to.

    Beat's messages expire, by the clock of whoever takes them: a worker whose clock is a few seconds ahead of beat's,
    or whose queue is a few seconds long, throws every one away. These stay: a look that finds nothing costs little.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        """Begin; called again after each reconnection to the broker."""
        if any(queue.name == QUEUE for queue in parent.task_consumer.queues):
            self._timer = parent.timer.call_repeatedly(LOOK_EVERY_S, ring.ring_for_dispatch)

    def stop(self, parent: Any) -> None:
        """End with the connection: who hears nothing need not ring."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

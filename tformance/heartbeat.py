"""A file that a worker touches while its event loop turns, for health checks that cannot ask it anything else."""

import os
from pathlib import Path
from typing import Any

from celery import bootsteps

SECONDS = 10


class Heartbeat(bootsteps.StartStopStep):
    """Touch the file that WORKER_HEARTBEAT_FILE names; nothing where it names none."""

    requires = ("celery.worker.consumer.tasks:Tasks",)  # last: it turns only when all before it is connected

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._path = os.environ.get("WORKER_HEARTBEAT_FILE", "")
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        """Begin; called again after each reconnection to the broker."""
        if self._path:
            self._touch()
            self._timer = parent.timer.call_repeatedly(SECONDS, self._touch)

    def stop(self, parent: Any) -> None:
        """End: a worker without its broker is not healthy."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _touch(self) -> None:
        Path(self._path).touch()

"""Heartbeat file of a worker, touched while its event loop runs, for health checks."""

import os
from pathlib import Path
from typing import Any

from celery import bootsteps

SECONDS = 10


class Heartbeat(bootsteps.StartStopStep):
    """Touch the file named by WORKER_HEARTBEAT_FILE, if set."""

    requires = ("celery.worker.consumer.tasks:Tasks",)  # last: it turns only when all before it is connected

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._path = os.environ.get("WORKER_HEARTBEAT_FILE", "")
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        """Start the timer; called again after each reconnection to the broker."""
        if self._path:
            self._touch()
            self._timer = parent.timer.call_repeatedly(SECONDS, self._touch)

    def stop(self, parent: Any) -> None:
        """Stop the timer: a worker without its broker is not healthy."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _touch(self) -> None:
        Path(self._path).touch()

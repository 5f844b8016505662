"""For a real worker only: `celery worker --include` loads this, and three made-up events are known."""

import os
import signal
import time

from apps.webhooks.registry import Event, translates


@translates("good")
def do_nothing(event: Event) -> tuple[()]:
    return ()


@translates("slow")
def take_too_long(event: Event) -> tuple[()]:
    time.sleep(600)  # until the task's time limit
    return ()


@translates("killer")
def kill_the_worker(event: Event) -> tuple[()]:
    os.kill(os.getpid(), signal.SIGKILL)
    return ()

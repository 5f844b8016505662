"""For a real worker only: `celery worker --include` loads this, and two made-up events are known."""

import os
import signal

from apps.webhooks.registry import Event, translates


@translates("good")
def do_nothing(event: Event) -> tuple[()]:
    return ()


@translates("killer")
def kill_the_worker(event: Event) -> tuple[()]:
    os.kill(os.getpid(), signal.SIGKILL)
    return ()

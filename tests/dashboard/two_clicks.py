"""Two clicks at once."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any
from unittest.mock import patch

from django.db import connection

WAIT_S = 2.0


@contextmanager
def both_at(module: Any, name: str) -> Iterator[Callable[[Callable[[], Any]], None]]:
    """Yield what does something twice at once: both meet after a function, unless one of them waits before it."""
    real, meeting = getattr(module, name), threading.Barrier(2)

    def meet(*args: Any, **options: Any) -> Any:
        result = real(*args, **options)
        with suppress(threading.BrokenBarrierError):
            meeting.wait(WAIT_S)
        return result

    def do(work: Callable[[], Any]) -> None:
        def alone() -> None:
            try:
                work()
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as threads:
            for done in [threads.submit(alone), threads.submit(alone)]:
                done.result(60)

    with patch.object(module, name, meet):
        yield do

"""Doing things at the same moment, each on a database connection of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection

Done = TypeVar("Done")


def side_by_side(*calls: Callable[[], Done]) -> list[Done]:
    """Call all of them at once; what each returned."""
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], Done]) -> Done:
        try:
            gate.wait()
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))

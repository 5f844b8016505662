"""The bytes of large bodies that a process holds at the same time, bounded. Small bodies need no place.

A body that finds no place is not read yet: the kernel makes its sender wait. At most MOST_WAITING bodies wait for a
moment, because GitHub does not send a refused delivery again by itself; all others are refused at once, because each
one that waits holds a thread of the server. Who waits longest is next, however large its body: others that would fit
do not overtake it.
"""

import gc
import threading
from collections import deque

from django.conf import settings
from rest_framework import exceptions, status

SMALL = 1024 * 1024
MOST_WAITING = 12
LONGEST_WAIT_S = 20.0  # GitHub gives up after 10 s; a proxy that has taken the whole body waits longer


class TooManyBytesError(exceptions.APIException):
    """There was no place for a large body; its sender may try again."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "Too many large bodies arrive at the moment. Deliver it again."
    default_code = "no_place"
    wait = 10  # seconds; Django REST Framework makes a Retry-After of it


class BodyBudget:
    """Counts the bytes of the large bodies that are being received."""

    def __init__(
        self,
        *,
        most_bytes: int,
        most_waiting: int = MOST_WAITING,
        longest_wait_s: float = LONGEST_WAIT_S,
    ) -> None:
        self._changed = threading.Condition()
        self._free = most_bytes
        self._waiting: deque[object] = deque()
        self._most_waiting = most_waiting
        self._longest_wait_s = longest_wait_s

    def take(self, size: int) -> int:
        """Wait for a place for a body of so many bytes; return what to release. TooManyBytesError if there is none."""
        if size <= SMALL:
            return 0
        with self._changed:
            if (self._waiting or self._free < size) and not self._wait_for(size):
                raise TooManyBytesError
            self._free -= size
        return size

    def release(self, taken: int) -> None:
        """Free a place whose body nobody refers to any more."""
        if not taken:
            return
        gc.collect()  # a view and its request refer to each other, as do an error and its frames
        with self._changed:
            self._free += taken
            self._changed.notify_all()

    def _wait_for(self, size: int) -> bool:
        if len(self._waiting) >= self._most_waiting:
            return False
        place = object()
        self._waiting.append(place)
        try:
            return self._changed.wait_for(
                lambda: self._waiting[0] is place and self._free >= size, timeout=self._longest_wait_s
            )
        finally:
            self._waiting.remove(place)
            self._changed.notify_all()


budget = BodyBudget(most_bytes=settings.LARGE_BODY_BYTES_PER_PROCESS)

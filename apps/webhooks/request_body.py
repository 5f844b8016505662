"""Reading of request bodies, limited before the first byte is read."""

import gc
import re
import threading
from collections import deque
from collections.abc import Mapping
from io import BytesIO

from django.conf import settings
from django.http import HttpRequest
from rest_framework import exceptions, status

from apps.webhooks.parsing import is_form, media_type

LARGEST_BODY = 25 * 1024 * 1024 + 64 * 1024  # GitHub's cap, and slack
JSON = "application/json"
PART = 256 * 1024  # the server gathers what is asked for in a buffer of its own
_LENGTH = re.compile(r"[0-9]{1,18}")


class LengthRequired(exceptions.APIException):
    """GitHub always sends a Content-Length."""

    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_detail = "Send a Content-Length."
    default_code = "no_length"


class TooLarge(exceptions.APIException):
    """The body is larger than GitHub ever sends; it is not read."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "A delivery has at most 25 MB."
    default_code = "too_large"


class Unreadable(exceptions.APIException):
    """The body is malformed, or the connection broke."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_detail = "The body could not be read."
    default_code = "unreadable"


def check_framing(environ: Mapping[str, str]) -> int:
    """The announced length of a body that may be read; APIException (400, 411, 413, 415) for any other."""
    content_type = media_type(environ.get("CONTENT_TYPE", ""))
    if content_type != JSON and not is_form(content_type):
        raise exceptions.UnsupportedMediaType(content_type[:100], code="media_type")
    if environ.get("HTTP_CONTENT_ENCODING", "identity").lower() not in ("", "identity"):
        raise exceptions.UnsupportedMediaType(content_type, "Send the body without a Content-Encoding.", code="encoded")
    announced = environ.get("CONTENT_LENGTH", "")
    if not announced:
        raise LengthRequired
    if _LENGTH.fullmatch(announced) is None or environ.get("HTTP_TRANSFER_ENCODING"):
        raise Unreadable(code="bad_length")
    if int(announced) > LARGEST_BODY:
        raise TooLarge
    return int(announced)


def read_content(request: HttpRequest, *, length: int) -> bytes:
    """The whole body, once; Django's cap on bodies, which is for every other path, is not asked."""
    content = BytesIO()
    try:
        while part := request.read(min(PART, length - content.tell())):
            content.write(part)
    except OSError as error:
        raise Unreadable from error
    if content.tell() != length:
        raise Unreadable(code="incomplete")
    return content.getvalue()  # the same memory, not a copy


SMALL = 1024 * 1024
MOST_WAITING = 12
LONGEST_WAIT_S = 20.0  # GitHub gives up after 10 s; a proxy that has taken the whole body waits longer


class TooManyBytesError(exceptions.APIException):
    """There was no memory for a large body; the sender may retry."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "Too many large bodies at the moment. Redeliver it."
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
        """Release the memory of a body that is no longer referenced."""
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

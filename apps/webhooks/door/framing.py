"""Reading the body of a post, bounded before the first byte is read."""

import re
from collections.abc import Mapping
from io import BytesIO

from django.http import HttpRequest
from rest_framework import exceptions, status

from apps.webhooks.parsing import is_form, media_type

LARGEST_BODY = 25 * 1024 * 1024 + 64 * 1024  # GitHub's cap, and slack
JSON = "application/json"
PART = 256 * 1024  # the server gathers what is asked for in a buffer of its own
_LENGTH = re.compile(r"[0-9]{1,18}")


class LengthRequired(exceptions.APIException):
    """GitHub always says how long its body is."""

    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_detail = "Send a Content-Length."
    default_code = "no_length"


class TooLarge(exceptions.APIException):
    """The body is larger than GitHub ever sends; it is not read."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "A delivery has at most 25 MB."
    default_code = "too_large"


class Unreadable(exceptions.APIException):
    """The framing of the body is broken, or the connection was."""

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

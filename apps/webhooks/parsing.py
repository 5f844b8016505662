"""Strict parsing of a signed body: the payload, or the reason why there is none. Pure, and bounded for any input."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from typing import Any
from urllib.parse import unquote_to_bytes

WRONG_SHAPE = (LookupError, TypeError, ValueError, AttributeError)
"""The errors that reading a payload of an unexpected shape raises."""


class WebhookError(Exception):
    """A delivery cannot be processed as it is."""


class UnusablePayloadError(WebhookError):
    """The delivery is authentic, but its payload cannot be used; it is quarantined and shown."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class ClaimLostError(WebhookError):
    """Another worker has claimed some of these deliveries since; the work on them must be undone."""

    def __init__(self, ids: frozenset[int]) -> None:
        super().__init__(f"{len(ids)} claims were lost")
        self.ids = ids


MAX_DEPTH = 64
MAX_NODES = 2_000_000
BIGGEST_INTEGER = 2**63 - 1
FORM = "application/x-www-form-urlencoded"

# A closing quote is optional, so that no input makes the search start over: linear for every body.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NOT_A_BRACKET = re.compile(rb"[^][{}]+")
_PAYLOAD_FIELD = re.compile(rb"(?:\A|&)payload=")
_UNQUOTED_AT_ONCE = 16 * 1024
_SUSPICIOUS_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


@dataclass(frozen=True, slots=True)
class Document:
    """A payload, and whether characters that no database can store were replaced in it."""

    payload: Mapping[str, Any]
    is_sanitised: bool


def media_type(content_type: str) -> str:
    """Return the media type of a Content-Type: without parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def is_form(content_type: str) -> bool:
    """Return whether a body of this Content-Type is a form, which has the JSON in a field."""
    return media_type(content_type) == FORM


def read_document(content: bytes, *, content_type: str) -> Document:
    """Return the JSON object in a body; raise UnusablePayloadError with the reason for anything else."""
    raw = _form_payload(content) if is_form(content_type) else content
    _refuse_excess(raw)
    text = _decode(raw)
    payload = _parse(text)
    if not isinstance(payload, dict):
        raise UnusablePayloadError("not_object", f"the top level is {type(payload).__name__}")
    clean = storable(payload, written=text)
    return Document(payload=clean, is_sanitised=clean is not payload and clean != payload)


def storable(document: Any, *, written: str) -> Any:
    """Return the document, whose JSON text is `written`, with characters replaced that no database can store."""
    return document if _SUSPICIOUS_ESCAPE.search(written) is None else _sanitise(document)


def _form_payload(content: bytes) -> bytes:
    fields = [found.end() for found in islice(_PAYLOAD_FIELD.finditer(content), 2)]
    if len(fields) != 1:
        raise UnusablePayloadError("no_payload_field", f"{'several' if fields else 'no'} fields are named payload")
    end = content.find(b"&", fields[0])
    return _unquoted(content[fields[0] : end if end >= 0 else len(content)])


def _unquoted(value: bytes) -> bytes:
    """Return the decoded bytes of a field, part by part: the library needs 200 bytes for each per cent sign."""
    unquoted = BytesIO()
    start = 0
    while start < len(value):
        end = start + _UNQUOTED_AT_ONCE
        cut = value.rfind(b"%", end - 2, end)  # an escape that this part would tear in two goes to the next
        end = cut if cut >= 0 else end
        unquoted.write(unquote_to_bytes(value[start:end].replace(b"+", b" ")))
        start = end
    return unquoted.getvalue()


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise UnusablePayloadError("not_utf8", f"byte {error.start}") from error


def _refuse_excess(raw: bytes) -> None:
    """Refuse JSON that is too deep or has too many nodes, before it is decoded: brackets and commas are ASCII.

    An ordinary payload has fewer openings than the depth allowed, so counting them (strings included) settles it:
    all but those of the address templates that GitHub's payloads are full of, for no object begins like `{/owner}`.
    """
    openings = raw.count(b"{") - raw.count(b"{/") + raw.count(b"[")
    if openings <= MAX_DEPTH and (len(raw) < MAX_NODES or raw.count(b",") < MAX_NODES - MAX_DEPTH):
        return
    skeleton = _STRING.sub(b"", raw)
    if skeleton.count(b",") + skeleton.count(b"[") + skeleton.count(b"{") > MAX_NODES:
        raise UnusablePayloadError("too_many_nodes", f"more than {MAX_NODES}")
    brackets = _NOT_A_BRACKET.sub(b"", skeleton)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b".").replace(b"{}", b".").replace(b".", b"")  # one level of both kinds
    # What is left is deeper still, or never closed: then a parser would go as deep as there are openings.
    if b"[]" in brackets or b"{}" in brackets or brackets.count(b"[") + brackets.count(b"{") > MAX_DEPTH:
        raise UnusablePayloadError("too_deep", f"more than {MAX_DEPTH} levels")


def _parse(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except RecursionError as error:
        raise UnusablePayloadError("too_deep") from error
    except ValueError as error:
        raise UnusablePayloadError("not_json", str(error)[:200]) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise UnusablePayloadError("duplicate_key")
    return keys


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -BIGGEST_INTEGER <= (number := int(digits)) <= BIGGEST_INTEGER:  # noqa: PLR2004  2**63 has 19 digits and a sign
        raise UnusablePayloadError("number_out_of_range", f"an integer of {len(digits)} characters")
    return number


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise UnusablePayloadError("number_out_of_range", "a number that is not finite")
    return number


def _constant(name: str) -> None:
    raise UnusablePayloadError("not_json", f"{name} is not JSON")


def _sanitise(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSTORABLE.sub(_REPLACEMENT, value)
    if isinstance(value, dict):
        return {_sanitise(key): _sanitise(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_sanitise(member) for member in value]
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant, strict=True
)


WINDOW = 128 * 1024
_BIGGEST_ID = 2**63 - 1
# Inside a JSON string the quotes are escaped, so text that people write never matches.
_ACTION = re.compile(rb'\A\s{0,8}\{\s{0,8}"action"\s{0,8}:\s{0,8}"([a-z][a-z0-9_]{0,63})"')
_INSTALLATION = re.compile(rb'"installation"\s{0,8}:\s{0,8}\{\s{0,8}"id"\s{0,8}:\s{0,8}([0-9]{1,19})\b')
_REPOSITORY = re.compile(rb'"repository"\s{0,8}:\s{0,8}\{\s{0,8}"id"\s{0,8}:\s{0,8}([0-9]{1,19})\b')


@dataclass(frozen=True, slots=True)
class Routing:
    """The columns by which deliveries are claimed fairly and found; `action` is empty where there is none."""

    action: str
    installation_id: int | None
    repository_id: int | None


def find_routing(content: bytes, *, is_form: bool) -> Routing:
    """Return what the first and the last bytes of a body suggest; never fails."""
    window = content if len(content) <= 2 * WINDOW else content[:WINDOW] + b" " + content[-WINDOW:]
    if is_form:
        window = unquote_to_bytes(window.removeprefix(b"payload=").replace(b"+", b" "))
    action = _ACTION.search(window)
    return Routing(
        action=action[1].decode("ascii") if action else "",
        installation_id=_find_id(_INSTALLATION, window),
        repository_id=_find_id(_REPOSITORY, window),
    )


def read_routing(payload: Mapping[str, Any]) -> Routing:
    """Return the routing columns of a payload, whatever its shape."""
    action = payload.get("action")
    return Routing(
        action=action[:64] if isinstance(action, str) else "",
        installation_id=_id_of(payload.get("installation")),
        repository_id=_id_of(payload.get("repository")),
    )


def _id_of(value: Any) -> int | None:
    identity = value.get("id") if isinstance(value, dict) else None
    is_id = isinstance(identity, int) and not isinstance(identity, bool) and 0 <= identity <= _BIGGEST_ID
    return identity if is_id else None


def _find_id(pattern: re.Pattern[bytes], window: bytes) -> int | None:
    match = pattern.search(window)
    if match is None:
        return None
    number = int(match[1])
    return number if number <= _BIGGEST_ID else None

"""Strict reading of a signed body: what it says, or why nothing can be made of it. Pure, and bounded for any input."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from apps.webhooks.errors import UnusablePayload

MAX_DEPTH = 64
MAX_NODES = 2_000_000
BIGGEST_INTEGER = 2**63 - 1
FORM = "application/x-www-form-urlencoded"

# A closing quote is optional, so that no input makes the search start over: linear for every body.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NOT_A_BRACKET = re.compile(r"[^][{}]+")
_SUSPICIOUS_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


@dataclass(frozen=True, slots=True)
class Document:
    """A payload, and whether characters that no database can store were replaced in it."""

    payload: Mapping[str, Any]
    is_sanitised: bool


def media_type(content_type: str) -> str:
    """What a Content-Type names, without parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def is_form(content_type: str) -> bool:
    """Whether a body of this Content-Type is a form, which carries the JSON in a field."""
    return media_type(content_type) == FORM


def read_document(content: bytes, *, content_type: str) -> Document:
    """The JSON object that a body carries; UnusablePayload with the reason for anything else."""
    raw = _form_payload(content) if is_form(content_type) else content
    text = _decode(raw)
    _refuse_excess(text)
    payload = _parse(text)
    if not isinstance(payload, dict):
        raise UnusablePayload("not_object", f"the top level is {type(payload).__name__}")
    clean = storable(payload, written=text)
    return Document(payload=clean, is_sanitised=clean is not payload and clean != payload)


def storable(document: Any, *, written: str) -> Any:
    """The document, whose JSON text is `written`, with characters replaced that no database can store."""
    return document if _SUSPICIOUS_ESCAPE.search(written) is None else _sanitise(document)


def _form_payload(content: bytes) -> bytes:
    values = [field[8:] for field in content.split(b"&") if field.startswith(b"payload=")]
    if len(values) != 1:
        raise UnusablePayload("no_payload_field", f"{len(values)} fields are named payload")
    return unquote_to_bytes(values[0].replace(b"+", b" "))


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise UnusablePayload("not_utf8", f"byte {error.start}") from error


def _refuse_excess(text: str) -> None:
    """Refuse what is too deep or has too many nodes, before a parser sees it.

    An ordinary payload has fewer openings than the depth allowed, so counting them (strings included) settles it:
    all but those of the address templates that GitHub's payloads are full of, for no object begins like `{/owner}`.
    """
    openings = text.count("{") - text.count("{/") + text.count("[")
    if openings <= MAX_DEPTH and text.count(",") < MAX_NODES - MAX_DEPTH:
        return
    skeleton = _STRING.sub("", text)
    if skeleton.count(",") + skeleton.count("[") + skeleton.count("{") > MAX_NODES:
        raise UnusablePayload("too_many_nodes", f"more than {MAX_NODES}")
    brackets = _NOT_A_BRACKET.sub("", skeleton)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace("[]", ".").replace("{}", ".").replace(".", "")  # one level of both kinds
    # What is left is deeper still, or never closed: then a parser would go as deep as there are openings.
    if "[]" in brackets or "{}" in brackets or brackets.count("[") + brackets.count("{") > MAX_DEPTH:
        raise UnusablePayload("too_deep", f"more than {MAX_DEPTH} levels")


def _parse(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except RecursionError as error:
        raise UnusablePayload("too_deep") from error
    except ValueError as error:
        raise UnusablePayload("not_json", str(error)[:200]) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise UnusablePayload("duplicate_key")
    return keys


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -BIGGEST_INTEGER <= (number := int(digits)) <= BIGGEST_INTEGER:  # noqa: PLR2004  2**63 has 19 digits and a sign
        raise UnusablePayload("number_out_of_range", f"an integer of {len(digits)} characters")
    return number


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise UnusablePayload("number_out_of_range", "a number that is not finite")
    return number


def _constant(name: str) -> None:
    raise UnusablePayload("not_json", f"{name} is not JSON")


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

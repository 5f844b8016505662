"""Parsing of request bodies: malformed JSON is 400."""

import codecs
import json
import math
from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer


class BodyParser(JSONParser):
    """JSON that can be stored and returned: bounded depth, finite numbers, complete characters.

    JSON is UTF-8 whatever charset is declared: Python's codecs include some that decode no text, such as zlib.
    """

    renderer_class = JSONRenderer

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        try:
            found = json.load(codecs.getreader("utf-8")(stream), parse_float=finite, parse_constant=refused)
            json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair is no character
        except RecursionError as error:
            raise ParseError("The JSON is nested too deeply.") from error
        except UnicodeEncodeError as error:
            raise ParseError("A string in the JSON contains half a surrogate pair.") from error
        except ValueError as error:
            raise ParseError(f"The body is not valid JSON: {error}") from error
        return found


def finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def refused(text: str) -> None:
    raise ValueError(f"{text} is not JSON")

"""Where a body belongs, found without parsing it: a bounded search of the raw bytes for three columns.

The door needs the installation, so that claims can be fair, and must not parse what anybody might have sent. The values
are what the bytes suggest; processing puts those of the parsed document in their place.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

WINDOW = 128 * 1024
_BIGGEST_ID = 2**63 - 1
# Inside a JSON string the quotes are escaped, so text that people write never matches.
_ACTION = re.compile(rb'\A\s{0,8}\{\s{0,8}"action"\s{0,8}:\s{0,8}"([a-z][a-z0-9_]{0,63})"')
_INSTALLATION = re.compile(rb'"installation"\s{0,8}:\s{0,8}\{\s{0,8}"id"\s{0,8}:\s{0,8}([0-9]{1,19})\b')
_REPOSITORY = re.compile(rb'"repository"\s{0,8}:\s{0,8}\{\s{0,8}"id"\s{0,8}:\s{0,8}([0-9]{1,19})\b')


@dataclass(frozen=True, slots=True)
class Routing:
    """The columns by which deliveries are claimed in turn and found again; `action` is empty where there is none."""

    action: str
    installation_id: int | None
    repository_id: int | None


def find_routing(content: bytes, *, is_form: bool) -> Routing:
    """What the first and the last bytes of a body suggest; never fails, whatever they are."""
    window = content if len(content) <= 2 * WINDOW else content[:WINDOW] + b" " + content[-WINDOW:]
    if is_form:
        window = unquote_to_bytes(window.removeprefix(b"payload=").replace(b"+", b" "))
    action = _ACTION.search(window)
    return Routing(
        action=action[1].decode("ascii") if action else "",
        installation_id=_find_id(_INSTALLATION, window),
        repository_id=_find_id(_REPOSITORY, window),
    )


def _find_id(pattern: re.Pattern[bytes], window: bytes) -> int | None:
    match = pattern.search(window)
    if match is None:
        return None
    number = int(match[1])
    return number if number <= _BIGGEST_ID else None

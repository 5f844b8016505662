"""The number inside a node id, for what GraphQL shows without one. Pure.

There are two forms. The older is base64 of `016:DeploymentStatus209916254`: how long the name is, the name, the number.
The newer is `DES_` and base64 of a MessagePack array: a version, the repository's number, the thing's own. GitHub calls
node ids opaque, so neither is trusted on its own: ask only where something beside it proves the form, as a deployment
does that shows its id in both ways.
"""

import re
from base64 import b64decode
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NodeKind:
    """A type of GraphQL, and how the newer ids of its nodes begin."""

    name: str
    prefix: str


DEPLOYMENT = NodeKind("Deployment", "DE")
DEPLOYMENT_STATUS = NodeKind("DeploymentStatus", "DES")

_OLDER = re.compile(r"0(\d+):([A-Za-z]+)([0-9]{1,19})")
_ARRAY_OF_THREE = 0x93
_BIGGEST_SMALL_NUMBER = 0x7F
_BYTES_OF_NUMBER = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}


def number_in(node_id: object, *, kind: NodeKind, repository_id: int) -> int | None:
    """The number of a node of this kind in this repository; None for every id of another form, kind or repository."""
    if not isinstance(node_id, str):
        return None
    if node_id.startswith(f"{kind.prefix}_"):
        numbers = _newer(node_id.removeprefix(f"{kind.prefix}_"))
        return numbers[2] if numbers and numbers[1] == repository_id else None
    return _older(node_id, name=kind.name)


def _older(node_id: str, *, name: str) -> int | None:
    try:
        match = _OLDER.fullmatch(b64decode(node_id, validate=True).decode("ascii"))
    except ValueError:
        return None
    if match is None or match[2] != name or int(match[1]) != len(name):
        return None
    return int(match[3])


def _newer(text: str) -> list[int] | None:
    """The three numbers of the array, and nothing after them."""
    try:
        array = b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    if array[:1] != bytes([_ARRAY_OF_THREE]):
        return None
    rest, numbers = array[1:], list[int]()
    while rest:
        size = _BYTES_OF_NUMBER.get(rest[0], 0)
        if (not size and rest[0] > _BIGGEST_SMALL_NUMBER) or len(rest) <= size:
            return None
        numbers.append(int.from_bytes(rest[1 : size + 1]) if size else rest[0])
        rest = rest[size + 1 :]
    return numbers if len(numbers) == 3 else None  # noqa: PLR2004  as the array says

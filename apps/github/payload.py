"""Strict reading of a JSON object: a member of another type or range than expected raises UnusablePayloadError."""

import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from apps.activity.facts import Stamp
from apps.webhooks.parsing import UnusablePayloadError


@dataclass(frozen=True, slots=True)
class NodeKind:
    """A type of GraphQL, and the prefix of the newer ids of its nodes."""

    name: str
    prefix: str


DEPLOYMENT = NodeKind("Deployment", "DE")
DEPLOYMENT_STATUS = NodeKind("DeploymentStatus", "DES")

_OLDER = re.compile(r"0(\d+):([A-Za-z]+)([0-9]{1,19})")
_ARRAY_OF_THREE = 0x93
_BIGGEST_SMALL_NUMBER = 0x7F
_BYTES_OF_NUMBER = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}


def number_in(node_id: object, *, kind: NodeKind, repository_id: int) -> int | None:
    """Return the number of a node of this kind in this repository; None for another form, kind or repository."""
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
    """Return the three numbers of the array, and nothing after them."""
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


TRANSLATOR_VERSION = 1
"""A part of every snapshot's stamp. Raise it when a translator is fixed: a replay then outweighs what it wrote."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""The earliest time, and the stamp of facts without a time, which any fact with a time replaces."""

AHEAD = timedelta(days=1)
CLOCK_SKEW = timedelta(days=1)
"""The time that a committer's clock may be ahead of the push before its date is clamped."""
SETTLED = timedelta(seconds=2)
"""GitHub's times have a resolution of one second: a read this much later saw everything of that second."""

BIGGEST_ID = 2**63 - 1
BIGGEST_COUNT = 2**31 - 1
LONGEST_NAME = 500
LONGEST_PROSE = 65_536

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_SHA = re.compile(r"[0-9a-f]{40,64}")


class PayloadReader:
    """One object of a payload or of a REST answer, with the path to it for messages.

    `arrived_at` bounds every time in it. `observed_at` is GitHub's `Date` when it was read through the API.
    """

    __slots__ = ("_members", "arrived_at", "observed_at", "path")

    def __init__(
        self, members: object, *, path: str, arrived_at: datetime, observed_at: datetime | None = None
    ) -> None:
        if not isinstance(members, Mapping):
            raise UnusablePayloadError("shape_mismatch", f"{path} is {_type_of(members)}, not an object")
        self._members: Mapping[str, Any] = members
        self.path = path
        self.arrived_at = arrived_at
        self.observed_at = observed_at

    def __contains__(self, name: str) -> bool:
        """Return whether the member is there: a missing member is not null."""
        return name in self._members

    def names(self) -> frozenset[str]:
        """Return the names of all members."""
        return frozenset(self._members)

    def mismatch(self, name: str, problem: str) -> UnusablePayloadError:
        return UnusablePayloadError("shape_mismatch", f"{self.path}.{name} {problem}")

    def child(self, name: str) -> "PayloadReader":
        """Return the object under this name."""
        return self._read(self._required(name), path=f"{self.path}.{name}")

    def child_or_none(self, name: str) -> "PayloadReader | None":
        """Return the object under this name, None where it is missing or null."""
        member = self._members.get(name)
        return None if member is None else self._read(member, path=f"{self.path}.{name}")

    def children(self, name: str) -> tuple["PayloadReader", ...]:
        """Return the objects of the list under this name; a missing or null list has none."""
        return tuple(
            self._read(member, path=f"{self.path}.{name}[{index}]") for index, member in enumerate(self._list(name))
        )

    def members(self, name: str) -> tuple[Any, ...]:
        """Return the items of the list under this name, of any type; a missing or null list has none."""
        return tuple(self._list(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the strings of the list under this name; a missing or null list has none."""
        return tuple(self._text(member, name, LONGEST_NAME) for member in self._list(name))

    def alike(self, members: object, *, path: str) -> "PayloadReader":
        """Another object that came with this one."""
        return self._read(members, path=path)

    def id(self, name: str = "id") -> int:
        """Return an identity that GitHub gave out."""
        return self._integer(self._required(name), name, BIGGEST_ID)

    def id_or_none(self, name: str) -> int | None:
        member = self._members.get(name)
        return None if member is None else self._integer(member, name, BIGGEST_ID)

    def count(self, name: str) -> int:
        """Return a number of things, or the number of an issue or pull request."""
        return self._integer(self._required(name), name, BIGGEST_COUNT)

    def flag(self, name: str, *, default: bool | None = None) -> bool:
        """Return a boolean; `default` stands for a missing or null one."""
        member = self._members.get(name)
        if member is None and default is not None:
            return default
        if not isinstance(member, bool):
            raise self.mismatch(name, f"is {_type_of(member)}, not a boolean")
        return member

    def flag_or_none(self, name: str) -> bool | None:
        return None if self._members.get(name) is None else self.flag(name)

    def text(self, name: str, *, limit: int = LONGEST_NAME) -> str:
        """Return a name, a label, a SHA: too long to be one means it is something else."""
        return self._text(self._required(name), name, limit)

    def text_or_none(self, name: str, *, limit: int = LONGEST_NAME) -> str | None:
        member = self._members.get(name)
        return None if member is None else self._text(member, name, limit)

    def sha(self, name: str) -> str:
        """Return the id of a commit, or the zeros for none: SHA-1 or SHA-256 in lower-case hexadecimal digits."""
        text = self.text(name)
        if not _SHA.fullmatch(text):
            raise self.mismatch(name, "is not a SHA")
        return text

    def word(self, name: str) -> str:
        """Return a value of an enumeration, in lower case: REST, GraphQL and webhooks spell them differently."""
        return self.text(name).lower()

    def word_or_none(self, name: str) -> str | None:
        text = self.text_or_none(name)
        return None if text is None else text.lower()

    def prose(self, name: str, *, limit: int = LONGEST_PROSE) -> str:
        """Return a text that people write, cut to `limit`; a missing or null one is empty."""
        member = self._members.get(name)
        if member is None:
            return ""
        if not isinstance(member, str):
            raise self.mismatch(name, f"is {_type_of(member)}, not text")
        return member[:limit]

    def time(self, name: str) -> datetime:
        """Return an instant, in UTC: RFC 3339, or the seconds since 1970 that GitHub sends in places.

        What was imported into GitHub keeps the dates of its tracker, which may be older than GitHub, or none at all
        (0001-01-01): those before 1970 are 1970, for a date that figures cannot reach is no reason to lose a delivery.
        """
        return self._time(self._required(name), name)

    def time_or_none(self, name: str) -> datetime | None:
        member = self._members.get(name)
        return None if member is None else self._time(member, name)

    def git_time(self, name: str, *, before: datetime) -> tuple[datetime | None, bool]:
        """Return a time of a user's clock, clamped between 1970 and `before`, and whether it was clamped.

        Git keeps any date that a machine believes in, so an absurd one is ordinary input.
        """
        member = self._members.get(name)
        if member is None:
            return None, False
        moment = parse_time(member)
        if moment is None:
            return None, True
        clamped = min(max(moment, EPOCH), before)
        return clamped, clamped != moment

    def stamp(self, updated_at: datetime, *, is_merged: bool = False, rank: int = 0) -> Stamp:
        """Return the order tuple of a snapshot of this object."""
        settled = self.observed_at is not None and self.observed_at - updated_at >= SETTLED
        return Stamp(
            source_updated_at=updated_at,
            observed_at=self.observed_at if settled else None,
            translator_version=TRANSLATOR_VERSION,
            is_merged=is_merged,
            rank=rank,
        )

    def _read(self, member: object, *, path: str) -> "PayloadReader":
        return PayloadReader(member, path=path, arrived_at=self.arrived_at, observed_at=self.observed_at)

    def _required(self, name: str) -> Any:
        member = self._members.get(name)
        if member is None:
            raise self.mismatch(name, "is null" if name in self._members else "is missing")
        return member

    def _list(self, name: str) -> list[Any]:
        member = self._members.get(name)
        if member is None:
            return []
        if not isinstance(member, list):
            raise self.mismatch(name, f"is {_type_of(member)}, not a list")
        return member

    def _integer(self, member: object, name: str, biggest: int) -> int:
        if not isinstance(member, int) or isinstance(member, bool):
            raise self.mismatch(name, f"is {_type_of(member)}, not an integer")
        if not 0 <= member <= biggest:
            raise self.mismatch(name, "is out of range")
        return member

    def _text(self, member: object, name: str, limit: int) -> str:
        if not isinstance(member, str):
            raise self.mismatch(name, f"is {_type_of(member)}, not text")
        if len(member) > limit:
            raise self.mismatch(name, f"has {len(member)} characters, more than {limit}")
        return member

    def _time(self, member: object, name: str) -> datetime:
        moment = parse_time(member)
        if moment is None:
            raise self.mismatch(name, "is not a time")
        if moment > self.arrived_at + AHEAD:
            raise self.mismatch(name, "is a time that has not come")
        return max(moment, EPOCH)


def parse_time(value: object) -> datetime | None:
    """Return the instant in UTC, None where the value is none that a datetime can hold."""
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, str) and _RFC3339.fullmatch(value):
            return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def write_time(moment: datetime) -> str:
    """Return the instant as GitHub writes it, in whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _type_of(value: object) -> str:
    return "null" if value is None else type(value).__name__


def git_date(
    signature: PayloadReader | None, commit: PayloadReader, *, before: datetime
) -> tuple[datetime | None, bool]:
    """Return the signature's date, else the commit's own timestamp, and whether it had to be clamped."""
    if signature is not None and "date" in signature:
        return signature.git_time("date", before=before)
    return commit.git_time("timestamp", before=before)

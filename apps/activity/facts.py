"""What happened, as frozen facts. They merge in any order (see record)."""

from collections.abc import Iterable
from dataclasses import dataclass


class Fact:
    """One statement about the world; recording it twice, or late, changes nothing."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where facts came from: `delivery` and its id, or an API read and its name."""

    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """The facts that one source carried."""

    source: Source
    facts: tuple[Fact, ...]


def evidence(source: Source, facts: Iterable[Fact]) -> Evidence:
    return Evidence(source=source, facts=tuple(facts))

"""Facts and where they come from."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar


class Fact:
    """One statement about the world; recording it again, or late, changes nothing."""

    entity: ClassVar[str] = ""
    """The kind of thing it speaks of, for provenance; empty for what every payload carries along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """How recent a snapshot is. The greater stamp wins its whole field group; equal stamps are told apart by content.

    `source_updated_at` is GitHub's own time of the entity, with a resolution of one second. `observed_at` is the
    `Date` of an API read made at least two seconds later, else None: a settled read beats every webhook of its second.
    `rank` comes first where GitHub's clock does not decide (a run's status).
    """

    source_updated_at: datetime
    observed_at: datetime | None = None
    translator_version: int
    is_merged: bool = False
    rank: int = 0

    def as_text(self, digest: str) -> str:
        """The order tuple as text that sorts under COLLATE "C", the content's digest last."""
        observed = self.observed_at.isoformat() if self.observed_at else "-"
        updated = self.source_updated_at.isoformat()
        return f"{self.rank}|{updated}|{observed}|{self.translator_version:04d}|{int(self.is_merged)}|{digest}"

    @staticmethod
    def moment_of(text: str) -> datetime | None:
        """The `source_updated_at` of a stamp that was written as text; None of the empty one."""
        return datetime.fromisoformat(text.split("|")[1]) if text else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(Fact):
    """The state of one field group at one instant."""

    stamp: Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where facts came from: a `delivery` by its id, or an `api` read by its name."""

    kind: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The facts that one source carried."""

    source: Source
    facts: tuple[Fact, ...] = field(default=())


def evidence(source: Source, facts: Iterable[Fact]) -> Evidence:
    """Gather what a translator yields."""
    return Evidence(source=source, facts=tuple(facts))

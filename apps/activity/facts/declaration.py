"""The parts that facts are declared with: the classes `Fact` and `Snapshot`, the decorator `@fact`, marks of columns.

    @fact(Review, entity="review", change=PULL_REQUEST)
    class ReviewDismissed(Fact):
        github_id: Key[int]
        repository_id: Within[int]
        number: Within[int]
        dismissed_at: Earliest[datetime]

The fields are the columns of the table, and a mark says how a column merges. A new attribute of a fact is one line in
its class, one in its model and one in its translator.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import Enum
from typing import Annotated, ClassVar, TypeVar, dataclass_transform

from django.db.models import Model

from apps.activity.merging import ChangeKey, Merge, SnapshotMerge, UnionMerge


class Mark(Enum):
    """The merge of a column, if it differs from most columns of its fact."""

    KEY = "key"
    WITHIN = "within"
    EARLIEST = "earliest"
    LASTING = "lasting"


T = TypeVar("T")
Key = Annotated[T, Mark.KEY]
"""A column of the key of the table."""
Within = Annotated[T, Mark.WITHIN]
"""A column that says where the row belongs: to which repository, pull request or deployment."""
Earliest = Annotated[T, Mark.EARLIEST]
"""A column of a set that keeps its least value. Unmarked columns of a set keep their greatest; null is no value."""
Lasting = Annotated[T, Mark.LASTING]
"""A column of a snapshot that keeps its first value whatever a newer one says: the author, null once the account is
deleted."""


class Fact:
    """A statement about the world; recording it again, or late, changes nothing."""

    entity: ClassVar[str] = ""
    """The kind of thing that the fact is about, for provenance; empty for what every payload has."""
    describes: ClassVar[bool] = False
    """Whether the fact describes a row that other facts refer to, so that they need no empty one."""
    needs_pull_request: ClassVar[bool] = False
    """Whether the pull request of the fact gets an empty row, where nothing has described it yet."""
    merge: ClassVar[Merge]
    """The merge of this class into its table; made by `@fact`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """The order tuple of a snapshot. The greater one wins its whole field group; between equals the content decides.

    `source_updated_at` is GitHub's own time of the entity, with a resolution of one second. `observed_at` is the
    `Date` of an API read made at least two seconds later, else None: a settled read beats every webhook of its second.
    `rank` comes first where GitHub's clock does not decide (the status of a run).
    """

    source_updated_at: datetime
    observed_at: datetime | None = None
    translator_version: int
    is_merged: bool = False
    rank: int = 0

    def as_text(self, digest: str) -> str:
        """Return the order tuple as text that sorts under COLLATE "C", the digest of the content last."""
        observed = self.observed_at.isoformat() if self.observed_at else "-"
        updated = self.source_updated_at.isoformat()
        return f"{self.rank}|{updated}|{observed}|{self.translator_version:04d}|{int(self.is_merged)}|{digest}"

    @staticmethod
    def moment_of(text: str) -> datetime | None:
        """Return the `source_updated_at` of a stamp that was written as text; None of the empty one."""
        return datetime.fromisoformat(text.split("|")[1]) if text else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(Fact):
    """The state of one field group at one instant."""

    merge: ClassVar[SnapshotMerge]

    stamp: Stamp


FACTS: list[type[Fact]] = []
"""Every class of facts, in the order of definition: those of one table are merged in this order."""

F = TypeVar("F", bound=Fact)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def fact(
    table: type[Model],
    *,
    entity: str = "",
    stamp: str = "stamp",
    change: ChangeKey | None = None,
    describes: bool = False,
    needs_pull_request: bool = False,
) -> Callable[[type[F]], type[F]]:
    """Make the class a frozen dataclass whose instances merge into `table`.

    `stamp` names the column of a snapshot's order tuple, `change` what is appended where a row really changed.
    """

    def declare(kind: type[F]) -> type[F]:
        declared = dataclass(frozen=True, slots=True, kw_only=True)(kind)
        declared.entity, declared.describes, declared.needs_pull_request = entity, describes, needs_pull_request
        declared.merge = _merge_of(declared, table, stamp=stamp, change=change)
        FACTS.append(declared)
        return declared

    return declare


def _merge_of(kind: type[Fact], table: type[Model], *, stamp: str, change: ChangeKey | None) -> Merge:
    marked: dict[Mark | None, tuple[str, ...]] = {}
    for one in fields(kind):  # type: ignore[arg-type]  # @fact has made it a dataclass
        if one.name != "stamp":
            [mark] = getattr(one.type, "__metadata__", (None,))
            marked[mark] = (*marked.get(mark, ()), one.name)
    key, within, columns = (marked.get(mark, ()) for mark in (Mark.KEY, Mark.WITHIN, None))
    if issubclass(kind, Snapshot):
        lasting = marked.get(Mark.LASTING, ())
        return SnapshotMerge(
            model=table, key=key, within=within, columns=columns, lasting=lasting, stamp=stamp, change=change
        )
    earliest = marked.get(Mark.EARLIEST, ())
    return UnionMerge(model=table, key=key, within=within, columns=columns, earliest=earliest, change=change)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The source of facts: a `delivery` by its id, or an `api` read by its name."""

    kind: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The facts that one source contained."""

    source: Source
    facts: tuple[Fact, ...] = field(default=())


def evidence(source: Source, facts: Iterable[Fact]) -> Evidence:
    """Return what a translator yields, with its source."""
    return Evidence(source=source, facts=tuple(facts))

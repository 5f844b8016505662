"""How far our tables are off from facts that were read: looked at before the facts are recorded."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from apps.activity.comparing import COMPARISONS
from apps.activity.facts import Fact, PullRequestHappened, ReviewDismissed, Snapshot, Source, evidence
from apps.activity.record import entity_key, gathered


class Entity(NamedTuple):
    """What a fact speaks of, as its provenance names it: a pull request is one, whatever belongs to its row."""

    kind: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The entities that facts speak of, and those of them that we had not, or had otherwise."""

    seen: frozenset[Entity]
    missing: frozenset[Entity]
    stale: frozenset[Entity]


def measure(facts: Iterable[Fact], *, settled_before: datetime) -> Measured:
    """Compare the facts with the tables as they are now, before they are recorded.

    What happened since `settled_before` is seen, and no difference: its webhook may still be on its way.
    """
    compared = [fact for fact in facts if type(fact) in COMPARISONS]
    settled = [fact for fact in compared if not _is_after(fact, settled_before)]
    missing, stale = set[Entity](), set[Entity]()
    for kind, rows in gathered([evidence(Source(kind="api", key=""), settled)]).items():
        for key, is_missing in COMPARISONS[kind].run(rows):
            (missing if is_missing else stale).add(Entity(kind.entity, ":".join(map(str, key))))
    return Measured(
        seen=frozenset(Entity(fact.entity, entity_key(fact)) for fact in compared),
        missing=frozenset(missing),
        stale=frozenset(stale - missing),
    )


def _is_after(fact: Fact, moment: datetime) -> bool:
    """Whether it tells of something later; what has no time of its own does not say."""
    if isinstance(fact, Snapshot):
        return fact.stamp.source_updated_at > moment
    if isinstance(fact, PullRequestHappened):
        return fact.at > moment
    return isinstance(fact, ReviewDismissed) and fact.dismissed_at > moment

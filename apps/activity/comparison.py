"""The comparison of facts that were read with our tables, before the facts are recorded.

It returns which entities are missing here (no row, or one of which only the key is known) and which are stale. A fact
that is older than our row is no difference, nor is anything that no webhook could have shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from apps.activity import facts
from apps.activity.facts import FACTS, Fact, Snapshot, Source, evidence
from apps.activity.merging import Merge, Row
from apps.activity.models import Contributor, PullRequest, PullRequestEvent
from apps.activity.record import entity_key, rows_by_kind
from apps.common import db
from apps.common.db import as_json, listed, quoted

UNANNOUNCED: Mapping[type[Fact], frozenset[str]] = {
    # A comment changes `updated_at`, and its webhook shows an issue. No webhook follows a change of membership.
    facts.PullRequestCore: frozenset({"updated_at", "author_association"}),
    facts.IssueState: frozenset({"updated_at"}),
    # REST and webhooks show the date of its commit, GraphQL when it was made.
    facts.ReleaseState: frozenset({"created_at"}),
    # The time of the last change, and some changes follow the end; that it ended is its status.
    facts.WorkflowRunState: frozenset({"concluded_at"}),
    # A webhook's list of commits names no head: see PullRequest.listed_head_sha.
    facts.PullRequestCommitList: frozenset({"listed_head_sha"}),
}
"""Columns that may differ though every webhook arrived."""

EMPTIED: Mapping[type[Fact], frozenset[str]] = {
    # The commit is gone from GitHub once its branch was force-pushed.
    facts.ReviewSubmitted: frozenset({"commit_sha"}),
}
"""Columns that GitHub empties without a webhook, besides every account: a deleted account is null."""


class Entity(NamedTuple):
    """The thing that a fact is about, as its provenance names it: a pull request is one, with all field groups."""

    kind: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The entities that facts are about, and those of them that are missing or stale here."""

    seen: frozenset[Entity]
    missing: frozenset[Entity]
    stale: frozenset[Entity]


def measure(read: Iterable[Fact], *, settled_before: datetime) -> Measured:
    """Compare the facts with the tables as they are now, before the facts are recorded.

    A fact from after `settled_before` is seen, but is no difference: its webhook may still be on its way.
    """
    compared = [fact for fact in read if type(fact) in COMPARISONS]
    settled = [fact for fact in compared if not _is_after(fact, settled_before)]
    missing, stale = set[Entity](), set[Entity]()
    for kind, rows in rows_by_kind([evidence(Source(kind="api", key=""), settled)]).items():
        for key, is_missing in COMPARISONS[kind].run(rows):
            (missing if is_missing else stale).add(Entity(kind.entity, ":".join(map(str, key))))
    return Measured(
        seen=frozenset(Entity(fact.entity, entity_key(fact)) for fact in compared),
        missing=frozenset(missing),
        stale=frozenset(stale - missing),
    )


def _is_after(fact: Fact, moment: datetime) -> bool:
    """Return whether the fact is from after the moment; False for one without a time of its own."""
    if isinstance(fact, Snapshot):
        return fact.stamp.source_updated_at > moment
    if isinstance(fact, facts.PullRequestHappened):
        return fact.at > moment
    return isinstance(fact, facts.ReviewDismissed) and fact.dismissed_at > moment


def _first_stamps() -> dict[type[Any], str]:
    """Return the stamp of the first field group of each table: it is empty while only the key is known."""
    found: dict[type[Any], str] = {}
    for kind in FACTS:
        if issubclass(kind, Snapshot):
            found.setdefault(kind.merge.model, kind.merge.stamp)
    return found


FIRST_STAMPS = _first_stamps()


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The comparison of the facts of one class with their table."""

    kind: type[Fact]

    @property
    def merge(self) -> Merge:
        return self.kind.merge

    def run(self, rows: Sequence[Row]) -> list[tuple[tuple[Any, ...], bool]]:
        """Return what differs: the first two columns of its key at the most, and whether it is missing."""
        return [(row[:-1], row[-1]) for row in db.run(self.statement, [as_json(rows)])]

    @property
    def statement(self) -> str:
        raise NotImplementedError

    @property
    def entity(self) -> str:
        """The columns that name the entity."""
        return listed(self.merge.key[:2], of="incoming.")

    @property
    def is_missing(self) -> str:
        stamp = FIRST_STAMPS.get(self.merge.model)
        return f"coalesce(kept.{quoted(stamp)}, '') = ''" if stamp else "false"

    @property
    def is_there(self) -> str:
        """The condition that a row was not deleted here: a deleted one is not compared."""
        names = {field.name for field in self.merge.model._meta.concrete_fields}
        return "kept.deleted_at IS NULL" if "deleted_at" in names else "true"

    def compared(self, *, differs: str) -> str:
        """Return the statement that finds the missing rows, and those of the existing ones that differ (`differs`)."""
        return f"""
            SELECT DISTINCT {self.entity}, {self.is_missing}
            FROM incoming LEFT JOIN {self.merge.table} AS kept ON {self.merge.matches("kept", "incoming")}
            WHERE {self.is_there} AND ({self.is_missing} OR ({differs}))
        """  # noqa: S608  names of our own tables and columns

    @property
    def incoming(self) -> str:
        """The facts as a table."""
        return f"json_to_recordset(%s) AS incoming ({self.merge.record_definition})"


@dataclass(frozen=True, kw_only=True)
class SnapshotComparison(Comparison):
    """The comparison of a field group: it differs where a newer snapshot than ours has other content."""

    kind: type[Snapshot]
    is_comparable: str = "true"

    @cached_property
    def statement(self) -> str:
        key, stamp = listed(self.merge.key), quoted(self.stamp)
        is_newer = f'kept.{stamp} < incoming.{stamp} COLLATE "C"'
        return f"""
            WITH incoming AS MATERIALIZED (
                SELECT DISTINCT ON ({key}) * FROM {self.incoming} ORDER BY {key}, {stamp} COLLATE "C" DESC
            )
            {self.compared(differs=f"{is_newer} AND {self.is_comparable} AND ({self.content_differs})")}
        """  # noqa: S608  names of our own tables and columns

    @property
    def stamp(self) -> str:
        return self.kind.merge.stamp

    @property
    def content_differs(self) -> str:
        unannounced = UNANNOUNCED.get(self.kind, frozenset())
        names = [name for name in self.merge.content if name not in unannounced]
        return " OR ".join(self._differs(name) for name in names)

    def _differs(self, name: str) -> str:
        column = quoted(name)
        differs = f"kept.{column} IS DISTINCT FROM incoming.{column}"
        may_be_emptied = name in self._accounts or name in EMPTIED.get(self.kind, frozenset())
        return f"(incoming.{column} IS NOT NULL AND {differs})" if may_be_emptied else differs

    @cached_property
    def _accounts(self) -> frozenset[str]:
        columns = self.merge.model._meta.concrete_fields
        return frozenset(str(field.column) for field in columns if field.related_model is Contributor)


@dataclass(frozen=True, kw_only=True)
class HistoryComparison(Comparison):
    """The comparison of a history: an event is stale where we have none of its kind and subject within ten seconds.

    A webhook has only the pull request's `updated_at` for an event. After a force push it says that the head moved.
    """

    @cached_property
    def statement(self) -> str:
        kinds, moment = PullRequestEvent.Kind, f"interval '{PullRequestEvent.SAME.total_seconds()} seconds'"
        return f"""
            SELECT DISTINCT {self.entity}, false FROM {self.incoming}
            WHERE NOT EXISTS (
                SELECT FROM {self.merge.table} AS kept
                WHERE kept.repository_id = incoming.repository_id AND kept.number = incoming.number
                  AND ((kept.kind = incoming.kind AND kept.subject = incoming.subject)
                    OR (incoming.kind = '{kinds.FORCE_PUSHED}' AND kept.kind = '{kinds.HEAD_MOVED}'
                        AND incoming.subject IN ('', kept.subject)))
                  AND kept.at BETWEEN incoming.at - {moment} AND incoming.at + {moment}
            )
        """  # noqa: S608  names of our own tables and columns


@dataclass(frozen=True, kw_only=True)
class CommitListComparison(Comparison):
    """The comparison of commit lists: a list is stale where it is said to be complete for the same head and lacks one.

    No webhook contains the list: a pull request without a complete one waits for it to be fetched.
    """

    @cached_property
    def statement(self) -> str:
        pulls = quoted(PullRequest._meta.db_table)
        return f"""
            SELECT DISTINCT {self.entity}, false FROM {self.incoming}
            JOIN {pulls} AS pull ON pull.repository_id = incoming.repository_id AND pull.number = incoming.number
                AND pull.listed_head_sha = incoming.head_sha
            WHERE NOT EXISTS (
                SELECT FROM {self.merge.table} AS kept WHERE {self.merge.matches("kept", "incoming")}
            )
        """  # noqa: S608  names of our own tables and columns


@dataclass(frozen=True, kw_only=True)
class DismissalComparison(Comparison):
    """The comparison of dismissals: stale without one, or with a later one: a webhook's time may be seconds late."""

    @cached_property
    def statement(self) -> str:
        lag = f"interval '{PullRequestEvent.SAME.total_seconds()} seconds'"
        differs = f"kept.dismissed_at IS NULL OR incoming.dismissed_at < kept.dismissed_at - {lag}"
        return f"WITH incoming AS (SELECT * FROM {self.incoming}) {self.compared(differs=differs)}"  # noqa: S608


@dataclass(frozen=True, kw_only=True)
class LandingComparison(Comparison):
    """The comparison of the default branch: a commit is stale where we do not know that it landed.

    Its content is part of its SHA, and no push shows its parents and its author's account.
    """

    @cached_property
    def statement(self) -> str:
        differs = "kept.landed_at IS NULL AND kept.presumed_landed_at IS NULL"
        return f"WITH incoming AS (SELECT * FROM {self.incoming}) {self.compared(differs=differs)}"  # noqa: S608


_SAME_HEAD = "kept.listed_head_sha = incoming.listed_head_sha"
_SNAPSHOTS = (
    facts.PullRequestCore,
    facts.PullRequestSizes,
    facts.PullRequestLabels,
    facts.PullRequestStack,
    facts.PullRequestText,
    facts.ReviewSubmitted,
    facts.ReviewVerdict,
    facts.ReviewCommentState,
    facts.IssueState,
    facts.IssueCommentState,
    facts.DeploymentState,
    facts.DeploymentRef,
    facts.DeploymentFlags,
    facts.DeploymentRun,
    facts.DeploymentStatusState,
    facts.WorkflowRunState,
    facts.ReleaseState,
)
COMPARISONS: Mapping[type[Fact], Comparison] = {
    **{kind: SnapshotComparison(kind=kind) for kind in _SNAPSHOTS},
    facts.PullRequestCommitList: SnapshotComparison(kind=facts.PullRequestCommitList, is_comparable=_SAME_HEAD),
    facts.PullRequestHappened: HistoryComparison(kind=facts.PullRequestHappened),
    facts.PullRequestCommitted: CommitListComparison(kind=facts.PullRequestCommitted),
    facts.ReviewDismissed: DismissalComparison(kind=facts.ReviewDismissed),
    facts.CommitInHistory: LandingComparison(kind=facts.CommitInHistory),
}
"""The facts that are compared. Accounts and repositories are not: their names are labels, right to the hour at best.
Nor are assignees: GitHub promises no order of them."""

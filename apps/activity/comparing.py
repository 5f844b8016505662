"""How rows compare with facts that are not recorded yet, in SQL alone, many a statement.

Each comparison answers the keys of what is off, and whether it is missing: no row, or one that only something else
named. What is older than ours is no difference, nor is anything that no webhook could have told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from apps.activity import facts
from apps.activity.merging import MergeRule, Row
from apps.activity.models import Contributor, PullRequest, PullRequestEvent
from apps.activity.record import SNAPSHOT_RULES
from apps.activity.recordset import as_json, listed, quoted
from apps.activity.rules import RULES
from apps.common import db

UNTOLD: Mapping[type[facts.Fact], frozenset[str]] = {
    # A comment moves `updated_at`, and its webhook shows an issue. Who is a member changes without a word.
    facts.PullRequestCore: frozenset({"updated_at", "author_association"}),
    facts.IssueState: frozenset({"updated_at"}),
    # REST and webhooks tell the date of its commit, GraphQL when it was made.
    facts.ReleaseState: frozenset({"created_at"}),
    # The time of its last change, of which there may be some after it ended; that it ended is its status.
    facts.WorkflowRunState: frozenset({"concluded_at"}),
    # A webhook's list of commits names no head: see PullRequest.listed_head_sha.
    facts.PullRequestCommitList: frozenset({"listed_head_sha"}),
}
"""Columns that may differ though every webhook came."""

FORGOTTEN: Mapping[type[facts.Fact], frozenset[str]] = {
    # The commit is gone from GitHub once its branch was pushed over.
    facts.ReviewSubmitted: frozenset({"commit_sha"}),
}
"""Columns that GitHub empties without a word, beside every account: one that was deleted is nobody."""


def first_stamps() -> dict[type[Any], str]:
    """The stamp of each table that is empty while nothing but its key is known: that of its first field group."""
    found: dict[type[Any], str] = {}
    for rule in SNAPSHOT_RULES.values():
        found.setdefault(rule.model, rule.stamp)
    return found


FIRST_STAMPS = first_stamps()


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How the facts of one class compare with their table."""

    kind: type[facts.Fact]

    @property
    def rule(self) -> MergeRule:
        return RULES[self.kind]

    def run(self, rows: Sequence[Row]) -> list[tuple[tuple[Any, ...], bool]]:
        """What is off: the first two columns of its key at the most, and whether it is missing."""
        return [(row[:-1], row[-1]) for row in db.run(self.statement, [as_json(rows)])]

    @property
    def statement(self) -> str:
        raise NotImplementedError

    @property
    def entity(self) -> str:
        """The columns that name the entity."""
        return listed(self.rule.key[:2], of="incoming.")

    @property
    def is_missing(self) -> str:
        stamp = FIRST_STAMPS.get(self.rule.model)
        return f"coalesce(kept.{quoted(stamp)}, '') = ''" if stamp else "false"

    @property
    def is_there(self) -> str:
        """What was deleted here stays so, whatever is told of it."""
        names = {field.name for field in self.rule.model._meta.concrete_fields}
        return "kept.deleted_at IS NULL" if "deleted_at" in names else "true"

    def compared(self, *, is_off: str) -> str:
        """The statement that finds what is missing, and of what is there that which `is_off`."""
        return f"""
            SELECT DISTINCT {self.entity}, {self.is_missing}
            FROM incoming LEFT JOIN {self.rule.table} AS kept ON {self.rule.matches("kept", "incoming")}
            WHERE {self.is_there} AND ({self.is_missing} OR ({is_off}))
        """  # noqa: S608  names of our own tables and columns

    @property
    def incoming(self) -> str:
        """The facts as a table."""
        return f"json_to_recordset(%s) AS incoming ({self.rule.record_definition})"


@dataclass(frozen=True, kw_only=True)
class OfSnapshot(Comparison):
    """A field group is off where what is newer than ours says otherwise."""

    is_comparable: str = "true"

    @cached_property
    def statement(self) -> str:
        key, stamp = listed(self.rule.key), quoted(self.stamp)
        is_newer = f'kept.{stamp} < incoming.{stamp} COLLATE "C"'
        return f"""
            WITH incoming AS MATERIALIZED (
                SELECT DISTINCT ON ({key}) * FROM {self.incoming} ORDER BY {key}, {stamp} COLLATE "C" DESC
            )
            {self.compared(is_off=f"{is_newer} AND {self.is_comparable} AND ({self.differs})")}
        """  # noqa: S608  names of our own tables and columns

    @property
    def stamp(self) -> str:
        return SNAPSHOT_RULES[self.kind].stamp

    @property
    def differs(self) -> str:
        untold = UNTOLD.get(self.kind, frozenset())
        names = [name for name in (*self.rule.fixed, *self.rule.columns) if name not in untold]
        return " OR ".join(self._differs(name) for name in names)

    def _differs(self, name: str) -> str:
        column = quoted(name)
        differs = f"kept.{column} IS DISTINCT FROM incoming.{column}"
        is_forgotten = name in self._accounts or name in FORGOTTEN.get(self.kind, frozenset())
        return f"(incoming.{column} IS NOT NULL AND {differs})" if is_forgotten else differs

    @cached_property
    def _accounts(self) -> frozenset[str]:
        columns = self.rule.model._meta.concrete_fields
        return frozenset(str(field.column) for field in columns if field.related_model is Contributor)


@dataclass(frozen=True, kw_only=True)
class OfHistory(Comparison):
    """A history is off where nothing of the kind, about the same subject, happened within ten seconds.

    A webhook knows an event only by the pull request's `updated_at`. Of a branch that was pushed over it tells that the
    head moved.
    """

    @cached_property
    def statement(self) -> str:
        kinds, moment = PullRequestEvent.Kind, f"interval '{PullRequestEvent.SAME.total_seconds()} seconds'"
        return f"""
            SELECT DISTINCT {self.entity}, false FROM {self.incoming}
            WHERE NOT EXISTS (
                SELECT FROM {self.rule.table} AS kept
                WHERE kept.repository_id = incoming.repository_id AND kept.number = incoming.number
                  AND ((kept.kind = incoming.kind AND kept.subject = incoming.subject)
                    OR (incoming.kind = '{kinds.FORCE_PUSHED}' AND kept.kind = '{kinds.HEAD_MOVED}'
                        AND incoming.subject IN ('', kept.subject)))
                  AND kept.at BETWEEN incoming.at - {moment} AND incoming.at + {moment}
            )
        """  # noqa: S608  names of our own tables and columns


@dataclass(frozen=True, kw_only=True)
class OfCommitLists(Comparison):
    """A list of commits is off where the pull request's claims to be complete for the same head, and lacks one.

    No webhook carries the list: who does not claim to have it is waiting for it to be asked for.
    """

    @cached_property
    def statement(self) -> str:
        pulls = quoted(PullRequest._meta.db_table)
        return f"""
            SELECT DISTINCT {self.entity}, false FROM {self.incoming}
            JOIN {pulls} AS pull ON pull.repository_id = incoming.repository_id AND pull.number = incoming.number
                AND pull.listed_head_sha = incoming.head_sha
            WHERE NOT EXISTS (
                SELECT FROM {self.rule.table} AS kept WHERE {self.rule.matches("kept", "incoming")}
            )
        """  # noqa: S608  names of our own tables and columns


@dataclass(frozen=True, kw_only=True)
class OfDismissals(Comparison):
    """A dismissal is off where we know of none, or of a later one: a webhook's time may lag behind by seconds."""

    @cached_property
    def statement(self) -> str:
        lag = f"interval '{PullRequestEvent.SAME.total_seconds()} seconds'"
        is_off = f"kept.dismissed_at IS NULL OR incoming.dismissed_at < kept.dismissed_at - {lag}"
        return f"WITH incoming AS (SELECT * FROM {self.incoming}) {self.compared(is_off=is_off)}"  # noqa: S608


@dataclass(frozen=True, kw_only=True)
class OfLandings(Comparison):
    """A commit of the default branch is off where we do not know that it landed.

    What it says of itself is part of its SHA. Its parents and its author's account no push tells.
    """

    @cached_property
    def statement(self) -> str:
        is_off = "kept.landed_at IS NULL AND kept.presumed_landed_at IS NULL"
        return f"WITH incoming AS (SELECT * FROM {self.incoming}) {self.compared(is_off=is_off)}"  # noqa: S608


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
COMPARISONS: Mapping[type[facts.Fact], Comparison] = {
    **{kind: OfSnapshot(kind=kind) for kind in _SNAPSHOTS},
    facts.PullRequestCommitList: OfSnapshot(kind=facts.PullRequestCommitList, is_comparable=_SAME_HEAD),
    facts.PullRequestHappened: OfHistory(kind=facts.PullRequestHappened),
    facts.PullRequestCommitted: OfCommitLists(kind=facts.PullRequestCommitted),
    facts.ReviewDismissed: OfDismissals(kind=facts.ReviewDismissed),
    facts.CommitInHistory: OfLandings(kind=facts.CommitInHistory),
}
"""What is compared. Accounts and repositories are not: their names are labels, right to the hour at best."""

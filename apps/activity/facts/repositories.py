"""Repositories, their branches and tags, pushes, commits and releases."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from apps.activity.facts.evidence import Fact, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryName(Snapshot):
    """All that a shortened repository shows; stamped with the epoch, so any full snapshot outweighs it."""

    github_id: int
    full_name: str
    is_private: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryState(Snapshot):
    """A repository as a full payload shows it; `full_name` is a label, the id is its identity."""

    github_id: int
    full_name: str
    owner_id: int | None
    default_branch: str | None
    is_private: bool
    is_archived: bool
    is_fork: bool
    created_at: datetime | None
    pushed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryDeleted(Fact):
    """The repository is gone from GitHub; what happened in it stays."""

    entity: ClassVar[str] = "repository"

    github_id: int
    deleted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GitReferenceState(Snapshot):
    """Whether a branch or tag exists; stamped with the arrival, as create and delete carry no time."""

    entity: ClassVar[str] = "git_reference"

    repository_id: int
    kind: str
    """`branch` or `tag`."""
    name: str
    is_deleted: bool
    is_verified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PushMade(Fact):
    """A ref moved from one commit to another. GitHub gives pushes no id: the two ends are its key."""

    entity: ClassVar[str] = "push"

    repository_id: int
    ref: str
    before_sha: str
    after_sha: str
    pushed_at: datetime
    commit_shas: tuple[str, ...]
    distinct_shas: tuple[str, ...]
    is_default_branch: int
    is_forced: int
    is_incomplete: int
    """1 when GitHub capped the commit list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitContent(Snapshot):
    """What a commit says of itself. Content never changes: the stamp is the epoch, an API read outweighs a push."""

    repository_id: int
    sha: str
    headline: str
    authored_at: datetime | None
    committed_at: datetime | None
    author_name: str
    author_email: str
    author_login: str
    is_date_clamped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitParents(Fact):
    """How many parents a commit has, as the API shows it."""

    repository_id: int
    sha: str
    parent_count: int
    author_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitParentsPresumed(Fact):
    """How many parents a commit seems to have, judged by the push that brought it.

    A guess, which counts only until the API shows the parents: CommitParents stands beside it.
    """

    repository_id: int
    sha: str
    presumed_parent_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitTrailer(Fact):
    """A line of a commit's message that names who or what took part in it."""

    repository_id: int
    sha: str
    token: str
    """Lower case: `co-authored-by`, `reviewed-by`, …; `generated-with` for a footer like "Generated with …"."""
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitLanded(Fact):
    """The commit arrived on the default branch; the earliest arrival counts."""

    entity: ClassVar[str] = "commit"

    repository_id: int
    sha: str
    landed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitInHistory(Fact):
    """The commit is on the default branch, and nobody told when it arrived: by its committer's date, never later.

    A guess, which counts only while no push is known: CommitLanded stands beside it.
    """

    entity: ClassVar[str] = "commit"

    repository_id: int
    sha: str
    presumed_landed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseState(Snapshot):
    """A release; drafts have no `published_at`."""

    entity: ClassVar[str] = "release"

    github_id: int
    repository_id: int
    tag_name: str
    name: str
    is_draft: bool
    is_prerelease: bool
    author_id: int | None
    created_at: datetime | None
    published_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseDeleted(Fact):
    """The release was deleted: final."""

    entity: ClassVar[str] = "release"

    github_id: int
    repository_id: int
    deleted_at: datetime

"""Repositories, their branches and tags, pushes, commits and releases."""

from datetime import datetime

from apps.activity import models
from apps.activity.facts.declaration import Earliest, Fact, Key, Lasting, Snapshot, Within, fact
from apps.activity.merging import ChangeKey
from apps.activity.models import Change, Commit, GitReference, Push, Release, Repository

BRANCH = ChangeKey(Change.Kind.BRANCH, ("repository_id", "ref"))
COMMIT = ChangeKey(Change.Kind.COMMIT, ("repository_id", "sha"))
RELEASE = ChangeKey(Change.Kind.RELEASE, ("repository_id", "github_id"))


@fact(Repository, describes=True)
class RepositoryName(Snapshot):
    """The name of a repository in a shortened payload; stamped with the epoch, so any full snapshot is newer."""

    github_id: Key[int]
    full_name: str
    is_private: bool | None


@fact(Repository, describes=True)
class RepositoryState(Snapshot):
    """A repository as a full payload shows it; `full_name` is a label, the id is its identity."""

    github_id: Key[int]
    full_name: str
    owner_id: int | None
    default_branch: str | None
    is_private: bool
    is_archived: bool
    is_fork: bool
    created_at: datetime | None
    pushed_at: datetime | None


@fact(Repository, entity="repository")
class RepositoryDeleted(Fact):
    """The deletion of a repository on GitHub; what happened in it stays."""

    github_id: Key[int]
    deleted_at: Earliest[datetime]


@fact(GitReference, entity="git_reference")
class GitReferenceState(Snapshot):
    """The existence of a branch or tag; stamped with the arrival, as create and delete have no time."""

    repository_id: Key[int]
    kind: Key[str]
    """`branch` or `tag`."""
    name: Key[str]
    is_deleted: bool
    is_verified: bool


@fact(Push, entity="push", change=BRANCH)
class PushMade(Fact):
    """The move of a ref from one commit to another. GitHub gives pushes no id: the two commits are the key."""

    repository_id: Key[int]
    ref: Key[str]
    before_sha: Key[str]
    after_sha: Key[str]
    pushed_at: Earliest[datetime]
    commit_shas: tuple[str, ...]
    distinct_shas: tuple[str, ...]
    is_default_branch: int
    is_forced: int
    is_incomplete: int
    """1 when GitHub capped the commit list."""


@fact(Commit, change=COMMIT)
class CommitContent(Snapshot):
    """The content of a commit. It never changes: the stamp is the epoch, and an API read is newer than a push."""

    repository_id: Key[int]
    sha: Key[str]
    headline: str
    authored_at: datetime | None
    committed_at: datetime | None
    author_name: str
    author_email: str
    author_login: str
    is_date_clamped: bool


@fact(Commit, change=COMMIT)
class CommitParents(Fact):
    """The number of a commit's parents and its author's account, as the API shows them."""

    repository_id: Key[int]
    sha: Key[str]
    parent_count: int
    author_id: int | None


@fact(Commit, change=COMMIT)
class CommitParentsPresumed(Fact):
    """The number of parents that a commit seems to have, by the push that brought it.

    A guess, which counts only until the API shows the parents: CommitParents has a column of its own.
    """

    repository_id: Key[int]
    sha: Key[str]
    presumed_parent_count: int


@fact(models.CommitTrailer, change=COMMIT)
class CommitTrailer(Fact):
    """A line of a commit's message that names a person or a tool that took part in it."""

    repository_id: Key[int]
    sha: Key[str]
    token: Key[str]
    """Lower case: `co-authored-by`, `reviewed-by`, …; `generated-with` for a footer like "Generated with …"."""
    value: Key[str]


@fact(Commit, entity="commit", change=COMMIT)
class CommitLanded(Fact):
    """The arrival of a commit on the default branch; the earliest counts."""

    repository_id: Key[int]
    sha: Key[str]
    landed_at: Earliest[datetime]


@fact(Commit, entity="commit", change=COMMIT)
class CommitInHistory(Fact):
    """The presence of a commit on the default branch, dated by its committer: the time of its arrival is not known.

    A guess, which counts only while no push is known: CommitLanded has a column of its own.
    """

    repository_id: Key[int]
    sha: Key[str]
    presumed_landed_at: Earliest[datetime]


@fact(Release, entity="release", change=RELEASE)
class ReleaseState(Snapshot):
    """A release; drafts have no `published_at`."""

    github_id: Key[int]
    repository_id: Within[int]
    tag_name: str
    name: str
    is_draft: bool
    is_prerelease: bool
    author_id: Lasting[int | None]
    created_at: datetime | None
    published_at: datetime | None


@fact(Release, entity="release", change=RELEASE)
class ReleaseDeleted(Fact):
    """The deletion of a release: final."""

    github_id: Key[int]
    repository_id: Within[int]
    deleted_at: Earliest[datetime]

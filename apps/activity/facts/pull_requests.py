"""Pull requests: field groups, history, commit lists, reviews and their comments."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from apps.activity.facts.evidence import Fact, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestCore(Snapshot):
    """What every representation of a pull request carries."""

    entity: ClassVar[str] = "pull_request"

    repository_id: int
    number: int
    github_id: int
    title: str
    state: str
    """`open` or `closed`; merged is `merged_at`."""
    is_draft: bool
    author_id: int | None
    author_association: str | None
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    merged_at: datetime | None
    merge_sha: str | None
    """Only when merged: before that GitHub shows a trial merge."""
    base_ref: str
    head_ref: str
    head_sha: str
    is_cross_repository: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestSizes(Snapshot):
    """What only the full representation carries."""

    entity: ClassVar[str] = "pull_request"

    repository_id: int
    number: int
    additions: int
    deletions: int
    changed_files: int
    commit_count: int
    merged_by_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestLabels(Snapshot):
    """The complete set of labels, sorted."""

    entity: ClassVar[str] = "pull_request"

    repository_id: int
    number: int
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestText(Snapshot):
    """The description, kept as the evidence of AI assistance it may hold."""

    entity: ClassVar[str] = "pull_request"

    repository_id: int
    number: int
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestStack(Snapshot):
    """The place in a stack of pull requests, counted from the bottom; all None for one that is in none."""

    entity: ClassVar[str] = "pull_request"

    repository_id: int
    number: int
    stack_id: int | None
    stack_number: int | None
    stack_size: int | None
    stack_position: int | None
    stack_base_ref: str | None
    stack_base_sha: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestCommitList(Snapshot):
    """Whether the commits of `listed_head_sha` are all recorded (as PullRequestCommitted)."""

    entity: ClassVar[str] = "pull_request"

    repository_id: int
    number: int
    listed_head_sha: str
    listed_commit_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestHappened(Fact):
    """Something happened to a pull request: a member of its history.

    `kind` is one of PullRequestEvent.Kind; `subject` is whom or what it concerns (a reviewer's id, `team:` and an id,
    a label, a head SHA), else empty. `source` is `webhook` when `at` is only the pull request's `updated_at`, and
    `api` when it is the event's own time.
    """

    entity: ClassVar[str] = "pull_request"

    repository_id: int
    number: int
    kind: str
    subject: str
    at: datetime
    source: str
    actor_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequestCommitted(Fact):
    """A commit belonged to the pull request while `head_sha` was its head, at this place of GitHub's list of commits.

    `is_by_author`: nobody but the author of the pull request is known to have made and pushed it (1, else 0).
    """

    entity: ClassVar[str] = "pull_request"

    repository_id: int
    number: int
    head_sha: str
    sha: str
    authored_at: datetime | None
    committed_at: datetime | None
    author_id: int | None
    position: int
    is_by_author: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewSubmitted(Snapshot):
    """That somebody reviewed, when and at which commit."""

    entity: ClassVar[str] = "review"

    github_id: int
    repository_id: int
    number: int
    author_id: int | None
    submitted_at: datetime
    commit_sha: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewVerdict(Snapshot):
    """What the review said when it was submitted; a dismissal stands beside it and never overwrites it."""

    entity: ClassVar[str] = "review"

    github_id: int
    repository_id: int
    number: int
    verdict: str
    """`approved`, `changes_requested` or `commented`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewDismissed(Fact):
    """The review was dismissed; the earliest time known counts."""

    entity: ClassVar[str] = "review"

    github_id: int
    repository_id: int
    number: int
    dismissed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewDeleted(Fact):
    """The review is gone: final."""

    entity: ClassVar[str] = "review"

    github_id: int
    repository_id: int
    number: int
    deleted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewCommentState(Snapshot):
    """A comment on a line of the diff."""

    entity: ClassVar[str] = "review_comment"

    github_id: int
    repository_id: int
    number: int
    review_id: int | None
    author_id: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewCommentDeleted(Fact):
    """The comment was deleted: final."""

    entity: ClassVar[str] = "review_comment"

    github_id: int
    repository_id: int
    number: int
    deleted_at: datetime

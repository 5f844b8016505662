"""Pull requests: field groups, history, commit lists and reviews; issues; the comments on both."""

from datetime import datetime

from apps.activity.facts.declaration import Earliest, Fact, Key, Lasting, Snapshot, Within, fact
from apps.activity.merging import ChangeKey
from apps.activity.models import (
    Change,
    Issue,
    IssueComment,
    PullRequest,
    PullRequestCommit,
    PullRequestEvent,
    Review,
    ReviewComment,
)

PULL_REQUEST = ChangeKey(Change.Kind.PULL_REQUEST, ("repository_id", "number"))
ISSUE = ChangeKey(Change.Kind.ISSUE, ("repository_id", "number"))
COMMENTED = ChangeKey(Change.Kind.PULL_REQUEST, ("repository_id", "number"), unless_false="is_on_pull_request")


@fact(PullRequest, entity="pull_request", stamp="core_stamp", change=PULL_REQUEST, describes=True)
class PullRequestCore(Snapshot):
    """The field group that every representation of a pull request has."""

    repository_id: Key[int]
    number: Key[int]
    github_id: int
    title: str
    state: str
    """`open` or `closed`; merged is `merged_at`."""
    is_draft: bool
    author_id: Lasting[int | None]
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


@fact(PullRequest, entity="pull_request", stamp="sizes_stamp", change=PULL_REQUEST)
class PullRequestSizes(Snapshot):
    """The field group that only the full representation has."""

    repository_id: Key[int]
    number: Key[int]
    additions: int
    deletions: int
    changed_files: int
    commit_count: int
    merged_by_id: int | None


@fact(PullRequest, entity="pull_request", stamp="labels_stamp", change=PULL_REQUEST)
class PullRequestLabels(Snapshot):
    """The complete set of labels, sorted."""

    repository_id: Key[int]
    number: Key[int]
    labels: tuple[str, ...]


@fact(PullRequest, entity="pull_request", stamp="assignees_stamp", change=PULL_REQUEST)
class PullRequestAssignees(Snapshot):
    """The people assigned, by their ids and in GitHub's order; bots are left out, as GraphQL does not list all."""

    repository_id: Key[int]
    number: Key[int]
    assignee_ids: tuple[int, ...]


@fact(PullRequest, entity="pull_request", stamp="text_stamp", change=PULL_REQUEST)
class PullRequestText(Snapshot):
    """The description, stored for the signs of AI assistance in it."""

    repository_id: Key[int]
    number: Key[int]
    body: str


@fact(PullRequest, entity="pull_request", stamp="stack_stamp", change=PULL_REQUEST)
class PullRequestStack(Snapshot):
    """The position in a stack of pull requests, counted from the bottom; all None for one that is in no stack."""

    repository_id: Key[int]
    number: Key[int]
    stack_id: int | None
    stack_number: int | None
    stack_size: int | None
    stack_position: int | None
    stack_base_ref: str | None
    stack_base_sha: str | None


@fact(PullRequest, entity="pull_request", stamp="commit_list_stamp", change=PULL_REQUEST)
class PullRequestCommitList(Snapshot):
    """The completeness of a commit list: all commits of `listed_head_sha` are recorded (PullRequestCommitted)."""

    repository_id: Key[int]
    number: Key[int]
    listed_head_sha: str
    listed_commit_count: int


@fact(PullRequestEvent, entity="pull_request", change=PULL_REQUEST, needs_pull_request=True)
class PullRequestHappened(Fact):
    """An event in the history of a pull request.

    `kind` is one of PullRequestEvent.Kind; `subject` is whom or what it concerns (a reviewer's id, `team:` and an id,
    a label, a head SHA, the base branch before a change), else empty. `source` is `webhook` when `at` is only the pull
    request's `updated_at`, and `api` when it is the event's own time. `reason` is why it left the merge queue.
    """

    repository_id: Key[int]
    number: Key[int]
    kind: Key[str]
    subject: Key[str]
    at: Key[datetime]
    source: Key[str]
    actor_id: int | None
    reason: str | None = None


@fact(PullRequestCommit, entity="pull_request", change=PULL_REQUEST, needs_pull_request=True)
class PullRequestCommitted(Fact):
    """A commit of the pull request while `head_sha` was its head, with its position in GitHub's list of commits.

    `is_by_author`: only the author of the pull request is known to have made and pushed it (1, else 0).
    `trailers`: the lines of its message like `co-authored-by: …`, token in lower case; None if they were not read.
    """

    repository_id: Key[int]
    number: Key[int]
    head_sha: Key[str]
    sha: Key[str]
    authored_at: Earliest[datetime | None]
    committed_at: datetime | None
    author_id: int | None
    position: int
    is_by_author: int
    trailers: tuple[str, ...] | None


@fact(Review, entity="review", change=PULL_REQUEST, needs_pull_request=True)
class ReviewSubmitted(Snapshot):
    """The submission of a review: by whom, when and at which commit."""

    github_id: Key[int]
    repository_id: Within[int]
    number: Within[int]
    author_id: Lasting[int | None]
    submitted_at: datetime
    commit_sha: str | None


@fact(Review, entity="review", stamp="verdict_stamp", change=PULL_REQUEST)
class ReviewVerdict(Snapshot):
    """The verdict of a review when it was submitted; a dismissal has a column of its own and never overwrites it."""

    github_id: Key[int]
    repository_id: Within[int]
    number: Within[int]
    verdict: str
    """`approved`, `changes_requested` or `commented`."""


@fact(Review, entity="review", change=PULL_REQUEST)
class ReviewDismissed(Fact):
    """The dismissal of a review; the earliest known time counts."""

    github_id: Key[int]
    repository_id: Within[int]
    number: Within[int]
    dismissed_at: Earliest[datetime]


@fact(Review, entity="review", change=PULL_REQUEST)
class ReviewDeleted(Fact):
    """The deletion of a review: final."""

    github_id: Key[int]
    repository_id: Within[int]
    number: Within[int]
    deleted_at: Earliest[datetime]


@fact(ReviewComment, entity="review_comment", change=PULL_REQUEST, needs_pull_request=True)
class ReviewCommentState(Snapshot):
    """A comment on a line of the diff."""

    github_id: Key[int]
    repository_id: Within[int]
    number: Within[int]
    review_id: int | None
    author_id: Lasting[int | None]
    created_at: datetime


@fact(ReviewComment, entity="review_comment", change=PULL_REQUEST)
class ReviewCommentDeleted(Fact):
    """The deletion of a comment: final."""

    github_id: Key[int]
    repository_id: Within[int]
    number: Within[int]
    deleted_at: Earliest[datetime]


@fact(Issue, entity="issue", change=ISSUE)
class IssueState(Snapshot):
    """An issue; never a pull request, though both share their numbers."""

    repository_id: Key[int]
    number: Key[int]
    github_id: int
    title: str
    state: str
    state_reason: str | None
    author_id: Lasting[int | None]
    labels: tuple[str, ...]
    causes: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None


@fact(Issue, entity="issue", change=ISSUE)
class IssueDeleted(Fact):
    """The deletion of an issue, or its transfer (it has a new id in the other repository): final here."""

    repository_id: Key[int]
    number: Key[int]
    deleted_at: Earliest[datetime]


@fact(IssueComment, entity="issue_comment", change=COMMENTED)
class IssueCommentState(Snapshot):
    """A comment on an issue or, outside any diff, on a pull request."""

    github_id: Key[int]
    repository_id: Within[int]
    number: Within[int]
    is_on_pull_request: bool
    author_id: Lasting[int | None]
    created_at: datetime


@fact(IssueComment, entity="issue_comment", change=COMMENTED)
class IssueCommentDeleted(Fact):
    """The deletion of a comment: final."""

    github_id: Key[int]
    repository_id: Within[int]
    number: Within[int]
    deleted_at: Earliest[datetime]

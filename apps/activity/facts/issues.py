"""Issues and the comments on issues and pull requests."""

from datetime import datetime

from apps.activity.facts.declaration import Earliest, Fact, Key, Snapshot, Within, fact
from apps.activity.models import Issue, IssueComment


@fact(Issue, entity="issue")
class IssueState(Snapshot):
    """An issue; never a pull request, though both share their numbers."""

    repository_id: Key[int]
    number: Key[int]
    github_id: int
    title: str
    state: str
    state_reason: str | None
    author_id: int | None
    labels: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None


@fact(Issue, entity="issue")
class IssueDeleted(Fact):
    """The deletion of an issue, or its transfer (it has a new id in the other repository): final here."""

    repository_id: Key[int]
    number: Key[int]
    deleted_at: Earliest[datetime]


@fact(IssueComment, entity="issue_comment")
class IssueCommentState(Snapshot):
    """A comment on an issue or, outside any diff, on a pull request."""

    github_id: Key[int]
    repository_id: Within[int]
    number: Within[int]
    is_on_pull_request: bool
    author_id: int | None
    created_at: datetime


@fact(IssueComment, entity="issue_comment")
class IssueCommentDeleted(Fact):
    """The deletion of a comment: final."""

    github_id: Key[int]
    repository_id: Within[int]
    number: Within[int]
    deleted_at: Earliest[datetime]

"""Issues and the comments on issues and pull requests."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from apps.activity.facts.evidence import Fact, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueState(Snapshot):
    """An issue; never a pull request, though both share their numbers."""

    entity: ClassVar[str] = "issue"

    repository_id: int
    number: int
    github_id: int
    title: str
    state: str
    state_reason: str | None
    author_id: int | None
    labels: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueDeleted(Fact):
    """The issue was deleted, or transferred away (it has a new id there): final here."""

    entity: ClassVar[str] = "issue"

    repository_id: int
    number: int
    deleted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueCommentState(Snapshot):
    """A comment on an issue or, outside any diff, on a pull request."""

    entity: ClassVar[str] = "issue_comment"

    github_id: int
    repository_id: int
    number: int
    is_on_pull_request: bool
    author_id: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueCommentDeleted(Fact):
    """The comment was deleted: final."""

    entity: ClassVar[str] = "issue_comment"

    github_id: int
    repository_id: int
    number: int
    deleted_at: datetime

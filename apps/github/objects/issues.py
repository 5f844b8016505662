"""Issues, and the comments outside any diff."""

import re
from collections.abc import Iterator

from apps.activity.facts import Fact, IssueCommentState, IssueState
from apps.github.objects.accounts import account_id, profiles
from apps.github.objects.pull_requests import TITLE, label_names
from apps.github.payload import PayloadReader

CAUSE = re.compile(
    r"\b(?:caused|introduced|broken)\s+(?:by|in|with)\s+(?:(?:the\s+)?deployment\s+`?([\w.:/-]*\w)|(#\d{1,9})\b)",
    re.IGNORECASE,
)
MOST_CAUSES = 10


def is_pull_request(issue: PayloadReader) -> bool:
    """Return whether this is a pull request in the shape of an issue."""
    return issue.child_or_none("pull_request") is not None


def issue_facts(issue: PayloadReader, *, repository_id: int) -> Iterator[Fact]:
    """Yield an issue and its author; nothing for a pull request in the shape of an issue, which has too few members."""
    updated_at, closed_at = issue.time("updated_at"), issue.time_or_none("closed_at")
    if not is_pull_request(issue):
        title = issue.prose("title", limit=TITLE)
        yield IssueState(
            stamp=issue.stamp(updated_at),
            repository_id=repository_id,
            number=issue.count("number"),
            github_id=issue.id(),
            title=title,
            state=issue.word_or_none("state") or ("closed" if closed_at else "open"),
            state_reason=issue.word_or_none("state_reason"),
            author_id=account_id(issue.child_or_none("user")),
            labels=label_names(issue),
            causes=causes_in(title, issue.prose("body")),
            created_at=issue.time("created_at"),
            updated_at=updated_at,
            closed_at=closed_at,
        )
    yield from profiles(issue, "user", at=updated_at)


def causes_in(*texts: str) -> tuple[str, ...]:
    """Return what the texts say that it was caused by: `#5` for a pull request, else the id of a deployment."""
    found = (match[1] or match[2] for text in texts for match in CAUSE.finditer(text))
    return tuple(dict.fromkeys(found))[:MOST_CAUSES]


def issue_comment_facts(comment: PayloadReader, *, issue: PayloadReader, repository_id: int) -> Iterator[Fact]:
    """Yield a comment on an issue or a pull request, and its author."""
    updated_at = comment.time("updated_at")
    yield IssueCommentState(
        stamp=comment.stamp(updated_at),
        github_id=comment.id(),
        repository_id=repository_id,
        number=issue.count("number"),
        is_on_pull_request=is_pull_request(issue),
        author_id=account_id(comment.child_or_none("user")),
        created_at=comment.time("created_at"),
    )
    yield from profiles(comment, "user", at=updated_at)

"""Issues and comments outside any diff: issues, issue_comment."""

from collections.abc import Iterator

from apps.activity.facts import Fact, IssueCommentDeleted, IssueDeleted
from apps.github.events.envelope import common_facts, declare_shape, open_payload, repository_id
from apps.github.objects.issues import issue_comment_facts, issue_facts
from apps.webhooks.registry import Event, translates

declare_shape("issues", members="issue label milestone")
declare_shape("issue_comment", members="issue comment")


@translates(
    "issues",
    "assigned",
    "closed",
    "demilestoned",
    "edited",
    "field_added",
    "field_removed",
    "labeled",
    "locked",
    "milestoned",
    "opened",
    "pinned",
    "reopened",
    "typed",
    "unassigned",
    "unlabeled",
    "unlocked",
    "unpinned",
    "untyped",
)
def issues(event: Event) -> Iterator[Fact]:
    payload = open_payload(event)
    issue = payload.child("issue")
    yield from common_facts(payload, at=issue.time("updated_at"))
    yield from issue_facts(issue, repository_id=repository_id(payload))


@translates("issues", "deleted", "transferred")
def issue_gone(event: Event) -> Iterator[Fact]:
    """Yield the end of a transferred issue, which gets a new id in the other repository; its number is gone here."""
    yield from issues(event)
    payload = open_payload(event)
    issue = payload.child("issue")
    yield IssueDeleted(
        repository_id=repository_id(payload),
        number=issue.count("number"),
        deleted_at=issue.time("updated_at"),
    )


@translates("issue_comment", "created", "edited", "pinned", "unpinned")
def issue_comment(event: Event) -> Iterator[Fact]:
    payload = open_payload(event)
    issue = payload.child("issue")
    yield from common_facts(payload, at=issue.time("updated_at"))
    yield from issue_facts(issue, repository_id=repository_id(payload))
    yield from issue_comment_facts(payload.child("comment"), issue=issue, repository_id=repository_id(payload))


@translates("issue_comment", "deleted")
def issue_comment_deleted(event: Event) -> Iterator[Fact]:
    """GitHub does not say when: the issue's time is at or after it."""
    yield from issue_comment(event)
    payload = open_payload(event)
    issue = payload.child("issue")
    yield IssueCommentDeleted(
        github_id=payload.child("comment").id(),
        repository_id=repository_id(payload),
        number=issue.count("number"),
        deleted_at=issue.time("updated_at"),
    )

"""Pull requests and all that happens on them, from opening to merge."""

from collections.abc import Iterator

from apps.activity.facts import Fact, PullRequestHappened, ReviewCommentDeleted
from apps.activity.models import PullRequestEvent
from apps.integrations.github.reading import Reading
from apps.integrations.github.snapshots.accounts import account_id, profiles
from apps.integrations.github.snapshots.pull_requests import (
    pull_request_facts,
    review_comment_facts,
    review_facts,
)
from apps.integrations.github.translators.opening import open_payload, repository_id, surroundings
from apps.integrations.github.translators.pull_request_history import pull_request_history
from apps.webhooks.registry import Event, translates

THREAD_KINDS = {
    "resolved": PullRequestEvent.Kind.THREAD_RESOLVED.value,
    "unresolved": PullRequestEvent.Kind.THREAD_UNRESOLVED.value,
}


@translates(
    "pull_request",
    "assigned",
    "auto_merge_disabled",
    "auto_merge_enabled",
    "closed",
    "converted_to_draft",
    "demilestoned",
    "dequeued",
    "edited",
    "enqueued",
    "labeled",
    "locked",
    "milestoned",
    "opened",
    "ready_for_review",
    "reopened",
    "review_request_removed",
    "review_requested",
    "stacked",
    "synchronize",
    "unassigned",
    "unlabeled",
    "unlocked",
)
def pull_request(event: Event) -> Iterator[Fact]:
    payload = open_payload(event)
    yield from pull_request_and_surroundings(payload)
    yield from pull_request_history(payload, action=event.action or "")


@translates("pull_request_review", "submitted", "edited", "dismissed")
def pull_request_review(event: Event) -> Iterator[Fact]:
    payload = open_payload(event)
    yield from pull_request_and_surroundings(payload)
    yield from review_facts(
        payload.child("review"),
        pull_request=payload.child("pull_request"),
        repository_id=repository_id(payload),
    )


@translates("pull_request_review_comment", "created", "edited")
def pull_request_review_comment(event: Event) -> Iterator[Fact]:
    payload = open_payload(event)
    yield from pull_request_and_surroundings(payload)
    yield from review_comment_facts(
        payload.child("comment"),
        repository_id=repository_id(payload),
        number=payload.child("pull_request").count("number"),
    )


@translates("pull_request_review_comment", "deleted")
def pull_request_review_comment_deleted(event: Event) -> Iterator[Fact]:
    """GitHub does not say when: the pull request's time is at or after it."""
    yield from pull_request_review_comment(event)
    payload = open_payload(event)
    parent = payload.child("pull_request")
    yield ReviewCommentDeleted(
        github_id=payload.child("comment").id(),
        repository_id=repository_id(payload),
        number=parent.count("number"),
        deleted_at=parent.time("updated_at"),
    )


@translates("pull_request_review_thread", "resolved", "unresolved")
def pull_request_review_thread(event: Event) -> Iterator[Fact]:
    payload = open_payload(event)
    parent, thread = payload.child("pull_request"), payload.child("thread")
    yield from pull_request_and_surroundings(payload)
    yield PullRequestHappened(
        repository_id=repository_id(payload),
        number=parent.count("number"),
        kind=THREAD_KINDS[event.action or ""],
        subject=thread.text("node_id"),
        at=payload.time_or_none("updated_at") or parent.time("updated_at"),
        source=PullRequestEvent.Source.WEBHOOK.value,
        actor_id=account_id(payload.child_or_none("sender")),
    )
    for comment in thread.children("comments"):
        yield from review_comment_facts(comment, repository_id=repository_id(payload), number=parent.count("number"))


def pull_request_and_surroundings(payload: Reading) -> Iterator[Fact]:
    """The pull request travels with everything that happens on it."""
    parent = payload.child("pull_request")
    updated_at = parent.time("updated_at")
    yield from surroundings(payload, at=updated_at)
    yield from pull_request_facts(parent, repository_id=repository_id(payload))
    yield from profiles(payload, "requested_reviewer", at=updated_at)

"""Pull requests, their history, reviews, review comments and threads."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from apps.activity.facts import Fact, PullRequestHappened, ReviewCommentDeleted
from apps.activity.models import PullRequestEvent
from apps.github.events.envelope import common_facts, declare_shape, open_payload, repository_id
from apps.github.objects.accounts import account_id, profiles
from apps.github.objects.pull_requests import pull_request_facts, removal_reason, review_comment_facts, review_facts
from apps.github.payload import PayloadReader
from apps.webhooks.registry import Event, translates

declare_shape("pull_request", members="pull_request label milestone")
declare_shape("pull_request_review", members="pull_request review")
declare_shape("pull_request_review_comment", members="pull_request comment")
declare_shape("pull_request_review_thread", members="pull_request thread")

Kind = PullRequestEvent.Kind


@dataclass(frozen=True, slots=True)
class Moment:
    """An event of the history, its subject and its time: the pull request's `updated_at` where GitHub has no better."""

    kind: PullRequestEvent.Kind
    subject: str
    at: datetime
    reason: str | None = None


Moments = Callable[[PayloadReader, PayloadReader], Iterator[Moment]]


def pull_request_history(payload: PayloadReader, *, action: str) -> Iterator[PullRequestHappened]:
    """Yield the history that this payload adds; most actions add none."""
    moments = MOMENTS.get(action)
    if moments is None:
        return
    pull_request = payload.child("pull_request")
    for moment in moments(payload, pull_request):
        yield PullRequestHappened(
            repository_id=repository_id(payload),
            number=pull_request.count("number"),
            kind=moment.kind.value,
            subject=moment.subject,
            at=moment.at,
            source=PullRequestEvent.Source.WEBHOOK.value,
            actor_id=account_id(payload.child_or_none("sender")),
            reason=moment.reason,
        )


def simply(kind: PullRequestEvent.Kind) -> Moments:
    """Return the moments of an action on the pull request as a whole."""

    def moments(payload: PayloadReader, pull_request: PayloadReader) -> Iterator[Moment]:
        yield Moment(kind, "", pull_request.time("updated_at"))

    return moments


def about_label(kind: PullRequestEvent.Kind) -> Moments:
    def moments(payload: PayloadReader, pull_request: PayloadReader) -> Iterator[Moment]:
        label = payload.child_or_none("label")
        if label is not None:
            yield Moment(kind, label.text("name"), pull_request.time("updated_at"))

    return moments


def about_reviewer(kind: PullRequestEvent.Kind) -> Moments:
    """Return the moments of an action on a reviewer, a person or a team; a ghost has none."""

    def moments(payload: PayloadReader, pull_request: PayloadReader) -> Iterator[Moment]:
        reviewer, team = payload.child_or_none("requested_reviewer"), payload.child_or_none("requested_team")
        if reviewer is not None:
            yield Moment(kind, str(reviewer.id()), pull_request.time("updated_at"))
        if team is not None:
            yield Moment(kind, f"team:{team.id()}", pull_request.time("updated_at"))

    return moments


def opened(payload: PayloadReader, pull_request: PayloadReader) -> Iterator[Moment]:
    """Yield the first head: the history has every head that was seen."""
    yield Moment(Kind.HEAD_MOVED, pull_request.child("head").text("sha"), pull_request.time("created_at"))


def synchronized(payload: PayloadReader, pull_request: PayloadReader) -> Iterator[Moment]:
    after = payload.text_or_none("after") or pull_request.child("head").text("sha")
    yield Moment(Kind.HEAD_MOVED, after, pull_request.time("updated_at"))


def closed(payload: PayloadReader, pull_request: PayloadReader) -> Iterator[Moment]:
    closed_at = pull_request.time_or_none("closed_at") or pull_request.time("updated_at")
    merged_at = pull_request.time_or_none("merged_at")
    yield Moment(Kind.CLOSED, "", closed_at)
    if merged_at is not None:
        yield Moment(Kind.MERGED, "", merged_at)


def dequeued(payload: PayloadReader, pull_request: PayloadReader) -> Iterator[Moment]:
    yield Moment(Kind.DEQUEUED, "", pull_request.time("updated_at"), reason=removal_reason(payload))


def edited(payload: PayloadReader, pull_request: PayloadReader) -> Iterator[Moment]:
    """Yield a change of the base; those of title and text leave no history."""
    changed = payload.child_or_none("changes")
    base = changed.child_or_none("base") if changed else None
    ref = base.child_or_none("ref") if base else None
    if ref is not None:
        yield Moment(Kind.BASE_CHANGED, ref.text("from"), pull_request.time("updated_at"))


MOMENTS: Mapping[str, Moments] = {
    "opened": opened,
    "synchronize": synchronized,
    "closed": closed,
    "reopened": simply(Kind.REOPENED),
    "ready_for_review": simply(Kind.READY_FOR_REVIEW),
    "converted_to_draft": simply(Kind.CONVERTED_TO_DRAFT),
    "review_requested": about_reviewer(Kind.REVIEW_REQUESTED),
    "review_request_removed": about_reviewer(Kind.REVIEW_REQUEST_REMOVED),
    "labeled": about_label(Kind.LABELED),
    "unlabeled": about_label(Kind.UNLABELED),
    "enqueued": simply(Kind.ENQUEUED),
    "dequeued": dequeued,
    "auto_merge_enabled": simply(Kind.AUTO_MERGE_ENABLED),
    "auto_merge_disabled": simply(Kind.AUTO_MERGE_DISABLED),
    "edited": edited,
}

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
    yield from pull_request_and_common_facts(payload)
    yield from pull_request_history(payload, action=event.action or "")


@translates("pull_request_review", "submitted", "edited", "dismissed")
def pull_request_review(event: Event) -> Iterator[Fact]:
    payload = open_payload(event)
    yield from pull_request_and_common_facts(payload)
    yield from review_facts(
        payload.child("review"),
        pull_request=payload.child("pull_request"),
        repository_id=repository_id(payload),
    )


@translates("pull_request_review_comment", "created", "edited")
def pull_request_review_comment(event: Event) -> Iterator[Fact]:
    payload = open_payload(event)
    yield from pull_request_and_common_facts(payload)
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
    yield from pull_request_and_common_facts(payload)
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


def pull_request_and_common_facts(payload: PayloadReader) -> Iterator[Fact]:
    """Yield the pull request, which every payload of its events has, and the common facts."""
    parent = payload.child("pull_request")
    updated_at = parent.time("updated_at")
    yield from common_facts(payload, at=updated_at)
    yield from pull_request_facts(parent, repository_id=repository_id(payload))
    yield from profiles(payload, "requested_reviewer", at=updated_at)

"""Which members of a pull request's history one of its payloads brings."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from apps.activity.facts import PullRequestHappened
from apps.activity.models import PullRequestEvent
from apps.integrations.github.reading import Reading
from apps.integrations.github.snapshots.accounts import account_id
from apps.integrations.github.translators.opening import repository_id

Kind = PullRequestEvent.Kind


@dataclass(frozen=True, slots=True)
class Moment:
    """What happened, whom or what it concerns, and when: the parent's `updated_at` where GitHub says no better."""

    kind: PullRequestEvent.Kind
    subject: str
    at: datetime


Moments = Callable[[Reading, Reading], Iterator[Moment]]


def pull_request_history(payload: Reading, *, action: str) -> Iterator[PullRequestHappened]:
    """The history that this payload adds; most actions add none."""
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
        )


def simply(kind: PullRequestEvent.Kind) -> Moments:
    """Something that happened to the pull request as a whole."""

    def moments(payload: Reading, pull_request: Reading) -> Iterator[Moment]:
        yield Moment(kind, "", pull_request.time("updated_at"))

    return moments


def about_label(kind: PullRequestEvent.Kind) -> Moments:
    def moments(payload: Reading, pull_request: Reading) -> Iterator[Moment]:
        label = payload.child_or_none("label")
        if label is not None:
            yield Moment(kind, label.text("name"), pull_request.time("updated_at"))

    return moments


def about_reviewer(kind: PullRequestEvent.Kind) -> Moments:
    """One payload speaks of one reviewer, a person or a team; a ghost is nobody."""

    def moments(payload: Reading, pull_request: Reading) -> Iterator[Moment]:
        reviewer, team = payload.child_or_none("requested_reviewer"), payload.child_or_none("requested_team")
        if reviewer is not None:
            yield Moment(kind, str(reviewer.id()), pull_request.time("updated_at"))
        if team is not None:
            yield Moment(kind, f"team:{team.id()}", pull_request.time("updated_at"))

    return moments


def opened(payload: Reading, pull_request: Reading) -> Iterator[Moment]:
    """The first head: every head that was ever seen is in the history."""
    yield Moment(Kind.HEAD_MOVED, pull_request.child("head").text("sha"), pull_request.time("created_at"))


def synchronized(payload: Reading, pull_request: Reading) -> Iterator[Moment]:
    after = payload.text_or_none("after") or pull_request.child("head").text("sha")
    yield Moment(Kind.HEAD_MOVED, after, pull_request.time("updated_at"))


def closed(payload: Reading, pull_request: Reading) -> Iterator[Moment]:
    closed_at = pull_request.time_or_none("closed_at") or pull_request.time("updated_at")
    merged_at = pull_request.time_or_none("merged_at")
    yield Moment(Kind.CLOSED, "", closed_at)
    if merged_at is not None:
        yield Moment(Kind.MERGED, "", merged_at)


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
}

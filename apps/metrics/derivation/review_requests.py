"""Derivation of review requests: of whom, and when they answered."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from apps.activity.models import PullRequestEvent
from apps.metrics.derived_row_writer import DerivedTable, Row, Scope
from apps.metrics.models import DerivedReviewRequest

SCOPE = ("repository_id", "number")
REVIEW_REQUESTS = DerivedTable(model=DerivedReviewRequest, key=(*SCOPE, "subject", "requested_at"), scope=SCOPE)


class Step(IntEnum):
    """What happens to a request, in the order in which it happened if the time is the same."""

    REVIEWED = 1
    REMOVED = 2
    REQUESTED = 3


STEPS: Mapping[str, Step] = {
    PullRequestEvent.Kind.REVIEW_REQUESTED: Step.REQUESTED,
    PullRequestEvent.Kind.REVIEW_REQUEST_REMOVED: Step.REMOVED,
}


@dataclass(frozen=True, slots=True)
class RequestEvent:
    """A request or its removal. `subject`: the id of an account, or `team:` and that of a team of GitHub."""

    at: datetime
    kind: str
    subject: str
    is_from_api: bool
    is_of_bot: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request, and how it ended: answered, withdrawn, or not yet."""

    requested_at: datetime
    answered_at: datetime | None = None
    withdrawn_at: datetime | None = None


def derive(
    scope: Scope, events: Iterable[RequestEvent], *, reviews: Iterable[tuple[int | None, datetime]]
) -> list[Row]:
    """Return the rows of a pull request, whose reviews are given by their reviewers and times."""
    by_subject: dict[str, list[RequestEvent]] = defaultdict(list)
    for event in events:
        by_subject[event.subject].append(event)
    reviewed: dict[int | None, list[datetime]] = defaultdict(list)
    for reviewer_id, submitted_at in reviews:
        if reviewer_id is not None:
            reviewed[reviewer_id].append(submitted_at)
    return [
        _row(scope, one, of=of)
        for subject, of in by_subject.items()
        for one in requests(of, reviewed=reviewed.get(_account(subject), ()))
    ]


def requests(events: Iterable[RequestEvent], *, reviewed: Iterable[datetime]) -> Iterator[Request]:
    """Yield the requests of one reviewer. One that is repeated while it is open lasts from the first."""
    steps = [(one.at, STEPS[one.kind]) for one in _without_repetitions(list(events))]
    requested_at: datetime | None = None
    for at, step in sorted([*steps, *((at, Step.REVIEWED) for at in reviewed)]):
        if step is Step.REQUESTED:
            requested_at = requested_at or at
        elif requested_at is not None:
            ended = {"answered_at": at} if step is Step.REVIEWED else {"withdrawn_at": at}
            yield Request(requested_at=requested_at, **ended)
            requested_at = None
    if requested_at is not None:
        yield Request(requested_at=requested_at)


def _without_repetitions(events: list[RequestEvent]) -> Iterator[RequestEvent]:
    """Yield the events that the API has, by its own time, and those that only webhooks have."""
    of_api = [one for one in events if one.is_from_api]
    for one in events:
        if one.is_from_api or not any(_is_same(one, other) for other in of_api):
            yield one


def _is_same(one: RequestEvent, other: RequestEvent) -> bool:
    return one.kind == other.kind and abs(one.at - other.at) <= PullRequestEvent.SAME


def _account(subject: str) -> int | None:
    return int(subject) if subject.isdecimal() else None


def _row(scope: Scope, one: Request, *, of: Sequence[RequestEvent]) -> Row:
    subject = of[0].subject
    repository_id, number = scope
    waited = one.answered_at - one.requested_at if one.answered_at else None
    return REVIEW_REQUESTS.row(
        repository_id=repository_id,
        number=number,
        subject=subject,
        reviewer_id=_account(subject),
        is_bot_reviewer=any(event.is_of_bot for event in of),
        requested_at=one.requested_at,
        answered_at=one.answered_at,
        withdrawn_at=one.withdrawn_at,
        answer_seconds=None if waited is None else round(waited.total_seconds()),
    )

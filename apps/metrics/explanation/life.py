"""Life of one pull request as its stored rows have it: what happened when, its stages, deployments and checks."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from itertools import pairwise
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import BooleanField, ExpressionWrapper, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import JSONObject

from apps.activity.models import GitHubTeam, PullRequest, PullRequestEvent, WorkflowRun
from apps.metrics.derivation.stages import Boundaries, stages
from apps.metrics.derivation.timeline import Happening, deduplicated
from apps.metrics.figures import FigureQuery
from apps.metrics.figures.entities import FLAGS
from apps.metrics.models import (
    DerivedAIEvidence,
    DerivedDeployment,
    DerivedPullRequest,
    DerivedReview,
    DerivedReviewRequest,
    DerivedShipment,
)
from apps.metrics.models.deployments import STAGES, UNTIL_MERGE

Kind = PullRequestEvent.Kind
SHOWN = (
    *(Kind.READY_FOR_REVIEW, Kind.CONVERTED_TO_DRAFT, Kind.CLOSED, Kind.REOPENED, Kind.HEAD_MOVED, Kind.FORCE_PUSHED),
    *(Kind.ENQUEUED, Kind.DEQUEUED, Kind.AUTO_MERGE_ENABLED, Kind.AUTO_MERGE_DISABLED, Kind.BASE_CHANGED),
    Kind.REVIEW_DISMISSED,
)
PUSHES = (Kind.HEAD_MOVED, Kind.FORCE_PUSHED)
MOST_EVENTS = 500
"""The most of a history, of its reviews and of its runs that are read: the earliest."""
TEAM = "team:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that happened to a pull request, and who did it; `detail` is a SHA, an environment, or a name."""

    at: datetime
    kind: str
    account: str = ""
    detail: str = ""
    is_bot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage from when until when; one that is not over lasts until now."""

    name: str
    start_at: datetime
    end_at: datetime
    is_over: bool = True

    @property
    def seconds(self) -> int:
        return int((self.end_at - self.start_at).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A review that was requested of somebody, and how it ended: answered, withdrawn, or not yet."""

    reviewer: str
    is_bot: bool
    is_team: bool
    requested_at: datetime
    answered_at: datetime | None
    withdrawn_at: datetime | None
    answer_seconds: int | None

    @property
    def ended_at(self) -> datetime | None:
        return self.answered_at or self.withdrawn_at


@dataclass(frozen=True, kw_only=True)
class Life:
    """A pull request with its stored rows; those of figures are derived moments after the facts.

    `row` is None while nothing but its number is known, or it waits to be derived.
    """

    pull_request: PullRequest
    row: Any
    moments: Sequence[Moment]
    requests: Sequence[Request]
    shipments: Sequence[Any]
    runs: Sequence[WorkflowRun]
    now: datetime

    @property
    def evidence(self) -> Sequence[Mapping[str, Any]]:
        return self.row.evidence if self.row else ()

    @property
    def ended_at(self) -> datetime | None:
        found: datetime | None = (self.row.merged_at or self.row.closed_at) if self.row else None
        return found

    @property
    def is_merged(self) -> bool:
        return bool(self.row and self.row.merged_at)

    @cached_property
    def shipped(self) -> Any:
        """Return the first deployment to production that had it; None if none is known."""
        return next((each for each in self.shipments if each.is_of_production), None)

    @cached_property
    def flags(self) -> list[str]:
        """Return the flags of lists, and those that only one pull request can show."""
        return flags_of(self.row) if self.row else []

    @cached_property
    def stages(self) -> list[Stage]:
        """Return the stages in their order, which touch each other; of an open pull request, up to now."""
        return list(_stages(self)) if self.row else []

    @property
    def total_seconds(self) -> int:
        """Return the sum of the stages: the lead time once it is deployed."""
        return sum(each.seconds for each in self.stages)


def flags_of(row: Any) -> list[str]:
    """Return the flags of a derived pull request, a row or its columns."""
    value: Callable[[str], Any] = row.get if isinstance(row, Mapping) else partial(_column, row)
    found = [flag for column, flag in FLAGS[DerivedPullRequest].items() if value(column)]
    more = {
        "agent": value("author_class") == "agent",
        "draft": bool(value("is_draft")) and not (value("merged_at") or value("closed_at")),
        "queued": value("queue_seconds") is not None,
        "revert": value("reverts_number") is not None,
        "reverted": bool(value("reverted_by")),
    }
    return [flag for flag in found if not (flag == "bot" and more["agent"])] + [
        flag for flag, is_set in more.items() if is_set
    ]


def _column(row: Any, name: str) -> Any:
    return getattr(row, name, None)


def reverts_of(scope: tuple[Any, Any]) -> QuerySet[DerivedPullRequest]:
    """Return the merged pull requests that revert this one, the first one first."""
    rows = DerivedPullRequest.objects.filter(repository_id=scope[0], reverts_number=scope[1], merged_at__isnull=False)
    return rows.order_by("merged_at")


def _stages(life: Life) -> Iterator[Stage]:
    row, ended_at = life.row, life.ended_at
    start_at = row.first_commit_at or row.ready_at or row.opened_at
    until = ended_at or life.now
    found = stages(
        Boundaries(
            started_at=min(start_at, until),
            ready_at=row.ready_at,
            first_review_at=row.first_review_at,
            first_approval_at=row.first_approval_at,
            merged_at=until,
        )
    )
    seconds = [getattr(found, name) for name in UNTIL_MERGE]
    edges = [start_at.timestamp()]
    for each in seconds:
        edges.append(edges[-1] + each)
    instants = [datetime.fromtimestamp(at, UTC) for at in edges]
    last = max((place for place, each in enumerate(seconds) if each), default=0)
    for place, (name, (since, to)) in enumerate(zip(UNTIL_MERGE, pairwise(instants), strict=True)):
        yield Stage(name=name, start_at=since, end_at=to, is_over=bool(ended_at) or place != last)
    if not life.is_merged:
        return
    if life.shipped is not None and life.shipped.deploy_seconds is not None:
        yield Stage(name=STAGES[-1], start_at=row.merged_at, end_at=life.shipped.deployed_at)


def life_of(pull_request: PullRequest, *, query: FigureQuery | None = None, now: datetime | None = None) -> Life:
    """Return the life of a pull request; what is production is decided by the team of the query."""
    scope = {"repository_id": pull_request.repository_id, "number": pull_request.number}
    row = _row(scope)
    history = PullRequestEvent.objects.filter(**scope, kind__in=SHOWN).select_related("actor")
    events = list(history.order_by("at", "pk")[:MOST_EVENTS])
    reviews = DerivedReview.objects.filter(**scope).select_related("reviewer").order_by("submitted_at", "pk")
    requests = _requests(scope)
    shipments = _shipments(scope, query=query)
    runs = _runs(pull_request, events)
    moments = [
        *_opening(pull_request, row),
        *_happenings(events, merged_at=pull_request.merged_at),
        *_reviews(reviews[:MOST_EVENTS]),
        *_requested(requests),
        *_ends(pull_request, row),
        *_deployed(shipments),
    ]
    return Life(
        pull_request=pull_request,
        row=row,
        moments=sorted(moments, key=lambda each: each.at),
        requests=requests,
        shipments=shipments,
        runs=runs,
        now=now or datetime.now(UTC),
    )


def _row(scope: Mapping[str, Any]) -> Any:
    evidence = DerivedAIEvidence.objects.filter(repository_id=OuterRef("repository_id"), number=OuterRef("number"))
    columns = ("kind", "source", "value", "tool", "confidence", "sha", "detector_version")
    reverts = reverts_of((OuterRef("repository_id"), OuterRef("number")))
    return (
        DerivedPullRequest.objects.filter(**scope)
        .select_related("author", "attributed_to")
        .annotate(
            evidence=ArraySubquery(evidence.order_by("pk").values(one=JSONObject(**{one: one for one in columns}))),
            reverted_by=Subquery(reverts.values("number")[:1]),
            reverts_id=_id_of("reverts_number"),
            reverted_by_id=_id_of("reverted_by"),
        )
        .first()
    )


def _id_of(number: str) -> Subquery:
    """Return the id of the pull request of the same repository whose number is in this column."""
    known = PullRequest.objects.filter(repository_id=OuterRef("repository_id"), number=OuterRef(number))
    return Subquery(known.values("pk")[:1])


def _opening(pull_request: PullRequest, row: Any) -> Iterator[Moment]:
    author = pull_request.author.login if pull_request.author else ""
    if row and row.first_commit_at:
        yield Moment(at=row.first_commit_at, kind="first_commit", account=author)
    if pull_request.created_at:
        kind = "opened_as_draft" if row and row.is_opened_as_draft else "opened"
        yield Moment(at=pull_request.created_at, kind=kind, account=author)


def _happenings(events: Iterable[PullRequestEvent], *, merged_at: datetime | None) -> Iterator[Moment]:
    """Yield what its history has, each once; the closing of a merge is the merge."""
    logins = {each.actor_id: each.actor.login for each in events if each.actor}
    found = deduplicated(
        Happening(each.at, each.kind, each.subject, each.source == PullRequestEvent.Source.API, each.actor_id)
        for each in events
    )
    forced = {each.subject for each in found if each.kind == Kind.FORCE_PUSHED}
    for each in found:
        is_merge = each.kind == Kind.CLOSED and merged_at is not None and each.at >= merged_at - PullRequestEvent.SAME
        if not is_merge and not (each.kind == Kind.HEAD_MOVED and each.subject in forced):
            detail = each.subject if each.kind in (*PUSHES, Kind.BASE_CHANGED) else ""
            account = logins.get(each.actor_id, "") if each.actor_id else ""
            yield Moment(at=each.at, kind=each.kind, account=account, detail=detail)


def _reviews(reviews: Iterable[DerivedReview]) -> Iterator[Moment]:
    for each in reviews:
        yield Moment(
            at=each.submitted_at,
            kind=each.verdict or "reviewed",
            account=each.reviewer.login if each.reviewer else "",
            detail="by the author" if each.is_by_author else "",
            is_bot=each.is_by_bot,
        )


def _requests(scope: Mapping[str, Any]) -> list[Request]:
    rows = list(DerivedReviewRequest.objects.filter(**scope).select_related("reviewer").order_by("requested_at", "pk"))
    ids = [each.subject.removeprefix(TEAM) for each in rows if each.subject.startswith(TEAM)]
    teams = {each.pk: str(each) for each in GitHubTeam.objects.filter(pk__in=filter(str.isdecimal, ids))} if ids else {}
    return [
        Request(
            reviewer=_reviewer(each, teams),
            is_bot=each.is_bot_reviewer,
            is_team=each.subject.startswith(TEAM),
            requested_at=each.requested_at,
            answered_at=each.answered_at,
            withdrawn_at=each.withdrawn_at,
            answer_seconds=each.answer_seconds,
        )
        for each in rows
    ]


def _reviewer(row: DerivedReviewRequest, teams: Mapping[int, str]) -> str:
    if row.subject.startswith(TEAM):
        key = row.subject.removeprefix(TEAM)
        return teams.get(int(key), "a team") if key.isdecimal() else "a team"
    return str(row.reviewer) if row.reviewer else "an unknown account"


def _requested(requests: Iterable[Request]) -> Iterator[Moment]:
    for each in requests:
        yield Moment(at=each.requested_at, kind=Kind.REVIEW_REQUESTED, detail=each.reviewer, is_bot=each.is_bot)
        if each.withdrawn_at:
            yield Moment(at=each.withdrawn_at, kind=Kind.REVIEW_REQUEST_REMOVED, detail=each.reviewer)


def _ends(pull_request: PullRequest, row: Any) -> Iterator[Moment]:
    if pull_request.merged_at:
        account = pull_request.merged_by.login if pull_request.merged_by else ""
        yield Moment(at=pull_request.merged_at, kind="merged", account=account)
    if row and row.landed_at and row.landed_at != pull_request.merged_at:
        yield Moment(at=row.landed_at, kind="landed")


def _shipments(scope: Mapping[str, Any], *, query: FigureQuery | None) -> list[Any]:
    """Return the deployments that shipped it, the first one first, each with the id of its row."""
    of_team = query.is_production() if query else Q(is_production=True)
    known = DerivedDeployment.objects.filter(repository_id=OuterRef("repository_id"), name=OuterRef("deployment"))
    rows = DerivedShipment.objects.filter(**scope).annotate(
        is_of_production=ExpressionWrapper(of_team, output_field=BooleanField()),
        deployment_id=Subquery(known.values("pk")[:1]),
    )
    return list(rows.order_by("deployed_at", "pk"))


def _deployed(shipments: Iterable[Any]) -> Iterator[Moment]:
    for each in shipments:
        where = " of ".join(part for part in (each.environment, each.service) if part)
        kind = "deployed_to_production" if each.is_of_production else "deployed"
        yield Moment(at=each.deployed_at, kind=kind, detail=where)


def _runs(pull_request: PullRequest, events: Iterable[PullRequestEvent]) -> list[WorkflowRun]:
    """Return the runs of every head that it had."""
    heads = {each.subject for each in events if each.kind in PUSHES} | {pull_request.head_sha}
    rows = WorkflowRun.objects.filter(repository_id=pull_request.repository_id, head_sha__in=heads - {""})
    return list(rows.order_by("created_at", "run_id", "attempt")[:MOST_EVENTS])

"""Work that is stuck now: it waits for a review, a merge or a deployment, or its checks fail."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import reduce
from operator import or_
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import (
    Case,
    CharField,
    Count,
    DateTimeField,
    Exists,
    F,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextField,
    Value,
    When,
    Window,
)
from django.db.models.functions import Cast, Coalesce, Concat, Greatest

from apps.activity.models import Contributor, GitHubTeam, PullRequest, Review, WorkflowRun
from apps.metrics.figures import Bots, FigureQuery, Hours
from apps.metrics.figures import Window as Days
from apps.metrics.figures.durations import seconds_before, seconds_between
from apps.metrics.figures.populations import FAILED, rows_in_progress, rows_not_deployed
from apps.metrics.models import DerivedDeployment, DerivedReview, DerivedReviewRequest
from apps.teams.models import Team
from apps.teams.visibility import repositories_of

HOUR = 3600
LOOKS_BACK_DAYS = 90
"""How long ago a merge that is not deployed is looked for."""
MOST_ROWS = 50
Verdict = Review.Verdict


class Reason(StrEnum):
    """What a pull request waits for."""

    REVIEW = "review"
    MERGE = "merge"
    DEPLOYMENT = "deployment"
    CHECKS = "checks"


TITLES: Mapping[Reason, str] = {
    Reason.REVIEW: "Waiting for review",
    Reason.MERGE: "Approved, not merged",
    Reason.DEPLOYMENT: "Merged, not deployed",
    Reason.CHECKS: "Failing checks",
}
STUCK_AFTER_HOURS = {Reason.REVIEW: 8, Reason.MERGE: 8, Reason.DEPLOYMENT: 16, Reason.CHECKS: 8}
"""The working hours of the team after which it is stuck: one day of eight hours, or two until it is deployed."""
DAY_BY_WORKING_HOURS = 3
"""So many hours of a calendar day come on each of a working day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StuckPullRequest:
    """A pull request, since when it waits, and for how many working seconds.

    `waits_for`: the reviewers that were asked and have not answered, or the workflows that fail; a team of GitHub
    begins with `@`.
    """

    pull_request_id: int
    repository_id: int
    repository: str
    number: int
    title: str
    author: str
    since: datetime
    working_seconds: float
    is_stuck: bool
    waits_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The pull requests that wait for the same, the latest first: the first ones, and how many there are in all.

    `stuck_after_hours` are working hours of the team; of several teams, hours of the calendar.
    """

    reason: Reason
    rows: tuple[StuckPullRequest, ...]
    total: int
    stuck_after_hours: int

    @property
    def left(self) -> int:
        """Return how many are not among the rows."""
        return self.total - len(self.rows)


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What is left of all that waits.

    Without `is_everything`, only what has waited long enough to be stuck. `reviewer` is the login of somebody who was
    asked for a review.
    """

    is_everything: bool = False
    bots: Bots = Bots.EXCLUDE
    repository_ids: Collection[int] | None = None
    reviewer: str = ""
    most: int = MOST_ROWS


STUCK = Filters()


def read_stuck(
    teams: Sequence[Team],
    *,
    filters: Filters = STUCK,
    reasons: Collection[Reason] = tuple(Reason),
    now: datetime | None = None,
) -> list[Section]:
    """Return what is stuck for the teams, one section for each reason.

    For one team, its members, production environments and working hours decide. For several, the pull requests of all
    of their repositories are counted, of all authors, in hours of the calendar: teams work at different times, and a
    repository may be of several.
    """
    if not teams:
        return []
    query = _query(teams, filters=filters, now=now or datetime.now(UTC))
    return [_section(reason, query, filters=filters) for reason in Reason if reason in reasons]


class _Query(FigureQuery):
    """The query of several teams, of which any may call a deployment one to production."""

    def is_production(self) -> Q:
        found: Q = reduce(or_, vars(self)["of_teams"])
        return found


def _query(teams: Sequence[Team], *, filters: Filters, now: datetime) -> FigureQuery:
    first = teams[0]
    values: dict[str, Any] = {
        "team": first,
        "window": Days.last(LOOKS_BACK_DAYS, time_zone=first.time_zone, now=now),
        "bots": filters.bots,
        "hours": Hours.WORKING if len(teams) == 1 else Hours.WALL,
        "as_of": now,
        "repository_ids": None if filters.repository_ids is None else tuple(filters.repository_ids),
    }
    if len(teams) == 1:
        return FigureQuery(**values)
    query = _Query(**values)
    tracked = repositories_of(Team.objects.filter(pk__in=[each.pk for each in teams]))
    if filters.repository_ids is not None:
        tracked = tracked.filter(pk__in=filters.repository_ids)
    rules = {tuple(each.production_environments): each for each in teams}
    vars(query).update(
        repositories=tuple(sorted(tracked.values_list("pk", flat=True))),
        memberships=(),
        of_teams=[FigureQuery(**{**values, "team": each}).is_production() for each in rules.values()],
    )
    return query


def _section(reason: Reason, query: FigureQuery, *, filters: Filters) -> Section:
    hours = STUCK_AFTER_HOURS[reason] * (1 if query.hours is Hours.WORKING else DAY_BY_WORKING_HOURS)
    limit = hours * HOUR
    rows = WAITING[reason](query, filters).filter(since__isnull=False)
    rows = rows.annotate(waited=seconds_between(F("since"), query.instant, query=query))
    if not filters.is_everything:  # by the instant, which is the same for all rows: PostgreSQL knows how many are left
        rows = rows.filter(since__lte=seconds_before(query.instant, limit, query=query))
    named = PullRequest.objects.filter(repository_id=OuterRef("repository_id"), number=OuterRef("number"))
    rows = (
        rows.annotate(
            total=Window(Count("*")),
            title=Subquery(named.values("title")[:1]),
            pull_request_id=Subquery(named.values("pk")[:1]),
        )
        .select_related("repository", "author")
        .order_by("-since", "-pk")
    )
    found = list(rows[: filters.most])
    return Section(
        reason=reason,
        rows=tuple(_stuck(each, limit=limit) for each in found if each.pull_request_id is not None),
        total=found[0].total if found else 0,
        stuck_after_hours=hours,
    )


def _stuck(row: Any, *, limit: int) -> StuckPullRequest:
    return StuckPullRequest(
        pull_request_id=row.pull_request_id,
        repository_id=row.repository_id,
        repository=row.repository.full_name,
        number=row.number,
        title=row.title,
        author=row.author.login if row.author else "",
        since=row.since,
        working_seconds=float(row.waited or 0),
        is_stuck=(row.waited or 0) >= limit,
        waits_for=tuple(dict.fromkeys(name for name in row.waits_for or () if name)),
    )


def _in_progress(query: FigureQuery) -> QuerySet[Any]:
    """Return what is open and no draft, as the work in progress counts it, with when it was approved at last."""
    reviews = DerivedReview.objects.filter(
        repository_id=OuterRef("repository_id"), number=OuterRef("number"), is_by_bot=False, is_by_author=False
    )
    approvals = reviews.filter(verdict=Verdict.APPROVED)
    later = DerivedReview.objects.filter(
        repository_id=OuterRef("repository_id"),
        number=OuterRef("number"),
        reviewer_id=OuterRef("reviewer_id"),
        verdict=Verdict.APPROVED,
        submitted_at__gt=OuterRef("submitted_at"),
    )
    objections = reviews.filter(~Exists(later), verdict=Verdict.CHANGES_REQUESTED)
    approved_at = approvals.order_by().values("number").annotate(at=Max("submitted_at")).values("at")
    waiting: QuerySet[Any] = (
        rows_in_progress(query)
        .filter(excluded__isnull=True)
        .annotate(
            approved_at=Case(
                When(first_approval_at__isnull=False, then=Case(When(~Exists(objections), then=Subquery(approved_at)))),
                output_field=DateTimeField(),
            )
        )
    )
    return waiting


def waiting_for_review(query: FigureQuery, filters: Filters) -> QuerySet[Any]:
    """Return what is not approved, and was requested of somebody who has not answered, or never reviewed at all."""
    open_requests = DerivedReviewRequest.objects.filter(
        repository_id=OuterRef("repository_id"),
        number=OuterRef("number"),
        answered_at__isnull=True,
        withdrawn_at__isnull=True,
        is_bot_reviewer=False,
    )
    if filters.reviewer:
        asked = Contributor.objects.filter(login__iexact=filters.reviewer).values("pk")
        open_requests = open_requests.filter(reviewer_id__in=asked)
    first = open_requests.order_by().values("number").annotate(at=Min("requested_at")).values("at")
    named = open_requests.annotate(asked=_name_of_reviewer()).order_by("requested_at", "pk").values("asked")
    rows = _in_progress(query).filter(approved_at__isnull=True)
    has_waited = Q(asked_at__isnull=False) if filters.reviewer else Q(asked_at__isnull=False) | Q(first_review_at=None)
    waiting: QuerySet[Any] = (
        rows.annotate(asked_at=Subquery(first))
        .filter(has_waited)
        .annotate(since=Greatest(Coalesce("asked_at", "ready_at"), "ready_at"), waits_for=ArraySubquery(named))
    )
    return waiting


def _name_of_reviewer() -> Any:
    team = GitHubTeam.objects.annotate(key=Concat(Value("team:"), Cast("pk", CharField()))).filter(
        key=OuterRef("subject")
    )
    return Coalesce(
        Subquery(Contributor.objects.filter(pk=OuterRef("reviewer_id")).values("login")[:1]),
        Concat(Value("@"), Subquery(team.values("name")[:1])),
        output_field=TextField(),
    )


NOBODY = ArraySubquery(Contributor.objects.none().values("login"))


def waiting_for_merge(query: FigureQuery, _: Filters) -> QuerySet[Any]:
    """Return what is approved, and where nobody whose last word were changes stands against it."""
    rows = _in_progress(query).filter(approved_at__isnull=False)
    waiting: QuerySet[Any] = rows.annotate(since=F("approved_at"), waits_for=NOBODY)
    return waiting


def waiting_for_deployment(query: FigureQuery, _: Filters) -> QuerySet[Any]:
    """Return what was merged and not deployed, in repositories that are deployed to production."""
    deployments = DerivedDeployment.objects.filter(
        query.is_production(), repository_id=OuterRef("repository_id"), succeeded_at__isnull=False
    )
    rows = rows_not_deployed(query).filter(Exists(deployments), excluded__isnull=True)
    waiting: QuerySet[Any] = rows.annotate(since=F("merged_at"), waits_for=NOBODY)
    return waiting


def failing_checks(query: FigureQuery, _: Filters) -> QuerySet[Any]:
    """Return what is open and no draft, and where the last run of a workflow on its last commit failed."""
    named = PullRequest.objects.filter(repository_id=OuterRef("repository_id"), number=OuterRef("number"))
    newer = WorkflowRun.objects.filter(
        Q(run_id__gt=OuterRef("run_id")) | Q(run_id=OuterRef("run_id"), attempt__gt=OuterRef("attempt")),
        repository_id=OuterRef("repository_id"),
        head_sha=OuterRef("head_sha"),
        workflow_id=OuterRef("workflow_id"),
    )
    failed = WorkflowRun.objects.filter(
        ~Exists(newer),
        repository_id=OuterRef("repository_id"),
        head_sha=OuterRef("head_sha"),
        conclusion__in=FAILED,
    )
    first = failed.order_by().values("head_sha").annotate(at=Min("concluded_at")).values("at")
    rows = (
        rows_in_progress(query).filter(excluded__isnull=True).annotate(head_sha=Subquery(named.values("head_sha")[:1]))
    )
    waiting: QuerySet[Any] = rows.annotate(
        since=Subquery(first), waits_for=ArraySubquery(failed.order_by("name", "pk").values("name"))
    )
    return waiting


WAITING = {
    Reason.REVIEW: waiting_for_review,
    Reason.MERGE: waiting_for_merge,
    Reason.DEPLOYMENT: waiting_for_deployment,
    Reason.CHECKS: failing_checks,
}

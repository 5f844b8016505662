"""Work that is stuck now: it waits for a review, a merge or a deployment, or its checks fail."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import (
    Case,
    CharField,
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
)
from django.db.models.functions import Cast, Coalesce, Concat, Greatest

from apps.activity.models import Contributor, GitHubTeam, Review, WorkflowRun
from apps.common import db
from apps.metrics.figures import Bots, FigureQuery, Window
from apps.metrics.figures.dimensions import pull_request_of_row
from apps.metrics.figures.figure_query import GIVEN, QueryTemplate
from apps.metrics.figures.populations import FAILED, rows_in_progress, rows_not_deployed
from apps.metrics.figures.sql_expressions import Ids, IsAnyOf, Parameter, array_of, compiled
from apps.metrics.models import DerivedDeployment, DerivedPullRequest, DerivedReview, DerivedReviewRequest
from apps.teams.models import Team, WorkingCalendar
from apps.teams.visibility import repositories_of
from apps.teams.working_time import ALL_TIME

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
    now = now or datetime.now(UTC)
    query = _query(teams, filters=filters, now=now)
    chosen = tuple(reason for reason in Reason if reason in reasons)
    clock = WorkingCalendar.clock_of(teams[0]) if len(teams) == 1 else ALL_TIME
    hours = {reason: STUCK_AFTER_HOURS[reason] * (1 if len(teams) == 1 else DAY_BY_WORKING_HOURS) for reason in chosen}
    waiting = _waiting(query, filters, before={one: clock.before(now, hours[one] * HOUR) for one in chosen})
    described = _described(waiting, filters) if waiting else {}
    return [
        _section(
            reason,
            [one for one in waiting if one.reason == reason],
            described=described,
            stuck_after_hours=hours[reason],
            waited=lambda since: clock.between(since, now),
        )
        for reason in chosen
    ]


class TeamsWithoutPatterns(FigureQuery):
    """The query of several teams, at least one of which has no patterns: there, GitHub's flag counts too."""


class TeamsWithoutPatternsTemplate(QueryTemplate):
    """The same, where a team without patterns goes by flag and name."""

    def is_production(self) -> Q:
        return super().is_production() | Q(is_production=True)


def _query(teams: Sequence[Team], *, filters: Filters, now: datetime) -> FigureQuery:
    first = teams[0]
    values: dict[str, Any] = {
        "team": first,
        "window": Window.last(LOOKS_BACK_DAYS, time_zone=first.time_zone, now=now),
        "bots": filters.bots,
        "as_of": now,
        "repository_ids": None if filters.repository_ids is None else tuple(filters.repository_ids),
    }
    if len(teams) == 1:
        return FigureQuery(**values)
    tracked = repositories_of(Team.objects.filter(pk__in=[each.pk for each in teams]))
    if filters.repository_ids is not None:
        tracked = tracked.filter(pk__in=filters.repository_ids)
    patterns = [each.production_environments for each in teams]
    kind = FigureQuery if all(patterns) else TeamsWithoutPatterns
    return kind(**values).knowing(
        repositories=tuple(tracked.order_by("pk").values_list("pk", flat=True)),
        memberships=(),
        production_environments=tuple(dict.fromkeys(one for each in patterns for one in each)),
    )


class Waiting(NamedTuple):
    """A pull request that waits, since when, and how many wait for the same."""

    reason: str
    pk: int
    since: datetime
    total: int


def _waiting(query: FigureQuery, filters: Filters, *, before: Mapping[Reason, datetime | None]) -> list[Waiting]:
    """Return the first rows of each section, the latest first, of those that began to wait before an instant.

    That is the same for all rows: how long each has waited is not asked of those that are not shown.
    """
    statement = _waiting_statement(query, tuple(before), has_reviewer=bool(filters.reviewer))
    values = {name: GIVEN[name].value(query) for name in GIVEN}
    limits = {f"before_{one}": EVER if filters.is_everything else at for one, at in before.items()}
    rows = db.run(statement, {**values, **limits, "reviewer": filters.reviewer, "most": filters.most})
    return sorted((Waiting(*row) for row in rows), key=lambda row: (row.since, row.pk), reverse=True)


EVER = datetime.max.replace(tzinfo=UTC)
# Since when it waits is computed once for each row: OFFSET keeps the condition out of the inner statement.
OF_REASON = """(
    SELECT '{reason}', pk, since, count(*) OVER () FROM ({waiting} OFFSET 0) AS waiting
    WHERE since <= %(before_{reason})s ORDER BY since DESC, pk DESC LIMIT %(most)s
)"""
_statements: dict[tuple[Any, ...], str] = {}


def _waiting_statement(query: FigureQuery, reasons: Sequence[Reason], *, has_reviewer: bool) -> str:
    """Return the statement of all sections, which is compiled once for all queries that are alike."""
    shape = type(query), query.shape, reasons, has_reviewer
    if shape not in _statements:
        kind = TeamsWithoutPatternsTemplate if isinstance(query, TeamsWithoutPatterns) else QueryTemplate
        template = kind.of(query)
        waiting = {
            reason: waiting_for_review(template, has_reviewer=True) if has_reviewer else WAITING[reason](template)
            for reason in reasons
        }
        _statements[shape] = " UNION ALL ".join(
            OF_REASON.format(reason=reason, waiting=compiled(rows.order_by().values("pk", "since")))
            for reason, rows in waiting.items()
        )
    return _statements[shape]


def _described(waiting: Sequence[Waiting], filters: Filters) -> dict[int, dict[str, Any]]:
    """Return what is shown of pull requests, by their keys."""
    asked = {str(one): array_of({row.pk for row in waiting if row.reason == one}) for one in Reason}
    every = array_of({row.pk for row in waiting})
    statement = _described_statement(has_reviewer=bool(filters.reviewer))
    rows = db.run_with_names(statement, {**asked, "every": every, "reviewer": filters.reviewer})
    return {row["pk"]: row for row in rows}


@cache
def _described_statement(*, has_reviewer: bool) -> str:
    named = pull_request_of_row()
    rows: QuerySet[Any] = DerivedPullRequest.objects.filter(_is_among("every"))
    rows = rows.annotate(head_sha=Subquery(named.values("head_sha")[:1]))
    names_of = {
        Reason.REVIEW: _open_requests(has_reviewer=has_reviewer)
        .annotate(asked=_name_of_reviewer())
        .order_by("requested_at", "pk")
        .values("asked"),
        Reason.CHECKS: _failed_runs().order_by("name", "pk").values("name"),
    }
    return compiled(
        rows.values(
            "pk",
            "repository_id",
            "number",
            repository_name=F("repository__full_name"),
            login=F("author__login"),
            title=Subquery(named.values("title")[:1]),
            pull_request_id=Subquery(named.values("pk")[:1]),
            **{one: Case(When(_is_among(one), then=ArraySubquery(names))) for one, names in names_of.items()},
        )
    )


def _is_among(name: str) -> Q:
    return Q(IsAnyOf(F("pk"), Ids(Parameter(name, output_field=TextField()))))


def _section(
    reason: Reason,
    waiting: Sequence[Waiting],
    *,
    described: Mapping[int, Mapping[str, Any]],
    stuck_after_hours: int,
    waited: Callable[[datetime], float],
) -> Section:
    rows = [(one.since, waited(one.since), described[one.pk]) for one in waiting if one.pk in described]
    return Section(
        reason=reason,
        rows=tuple(
            StuckPullRequest(
                pull_request_id=row["pull_request_id"],
                repository_id=row["repository_id"],
                repository=row["repository_name"],
                number=row["number"],
                title=row["title"],
                author=row["login"] or "",
                since=since,
                working_seconds=seconds,
                is_stuck=seconds >= stuck_after_hours * HOUR,
                waits_for=tuple(dict.fromkeys(name for name in row.get(reason) or () if name)),
            )
            for since, seconds, row in rows
            if row["pull_request_id"] is not None
        ),
        total=waiting[0].total if waiting else 0,
        stuck_after_hours=stuck_after_hours,
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


def waiting_for_review(query: FigureQuery, *, has_reviewer: bool = False) -> QuerySet[Any]:
    """Return what is not approved, and was requested of somebody who has not answered, or never reviewed at all."""
    first = _open_requests(has_reviewer=has_reviewer).order_by().values("number").annotate(at=Min("requested_at"))
    rows = _in_progress(query).filter(approved_at__isnull=True)
    has_waited = Q(asked_at__isnull=False) if has_reviewer else Q(asked_at__isnull=False) | Q(first_review_at=None)
    waiting: QuerySet[Any] = (
        rows.annotate(asked_at=Subquery(first.values("at")))
        .filter(has_waited)
        .annotate(since=Greatest(Coalesce("asked_at", "ready_at"), "ready_at"))
    )
    return waiting


def _open_requests(*, has_reviewer: bool) -> QuerySet[DerivedReviewRequest]:
    requests = DerivedReviewRequest.objects.filter(
        repository_id=OuterRef("repository_id"),
        number=OuterRef("number"),
        answered_at__isnull=True,
        withdrawn_at__isnull=True,
        is_bot_reviewer=False,
    )
    if not has_reviewer:
        return requests
    asked = Contributor.objects.filter(login__iexact=Parameter("reviewer", output_field=TextField()))
    return requests.filter(reviewer_id__in=asked.values("pk"))


def _name_of_reviewer() -> Any:
    team = GitHubTeam.objects.annotate(key=Concat(Value("team:"), Cast("pk", CharField()))).filter(
        key=OuterRef("subject")
    )
    return Coalesce(
        Subquery(Contributor.objects.filter(pk=OuterRef("reviewer_id")).values("login")[:1]),
        Concat(Value("@"), Subquery(team.values("name")[:1])),
        output_field=TextField(),
    )


def waiting_for_merge(query: FigureQuery) -> QuerySet[Any]:
    """Return what is approved, and where nobody whose last word were changes stands against it."""
    waiting: QuerySet[Any] = _in_progress(query).annotate(since=F("approved_at")).filter(since__isnull=False)
    return waiting


def waiting_for_deployment(query: FigureQuery) -> QuerySet[Any]:
    """Return what was merged and not deployed, in repositories that are deployed to production."""
    deployments = DerivedDeployment.objects.filter(
        query.is_production(), repository_id=OuterRef("repository_id"), succeeded_at__isnull=False
    )
    rows = rows_not_deployed(query).filter(Exists(deployments), excluded__isnull=True)
    waiting: QuerySet[Any] = rows.annotate(since=F("merged_at"))
    return waiting


def failing_checks(query: FigureQuery) -> QuerySet[Any]:
    """Return what is open and no draft, and where the last run of a workflow on its last commit failed."""
    named = pull_request_of_row()
    first = _failed_runs().order_by().values("head_sha").annotate(at=Min("concluded_at")).values("at")
    rows = (
        rows_in_progress(query).filter(excluded__isnull=True).annotate(head_sha=Subquery(named.values("head_sha")[:1]))
    )
    waiting: QuerySet[Any] = rows.annotate(since=Subquery(first))
    return waiting


def _failed_runs() -> QuerySet[WorkflowRun]:
    newer = WorkflowRun.objects.filter(
        Q(run_id__gt=OuterRef("run_id")) | Q(run_id=OuterRef("run_id"), attempt__gt=OuterRef("attempt")),
        repository_id=OuterRef("repository_id"),
        head_sha=OuterRef("head_sha"),
        workflow_id=OuterRef("workflow_id"),
    )
    return WorkflowRun.objects.filter(
        ~Exists(newer),
        repository_id=OuterRef("repository_id"),
        head_sha=OuterRef("head_sha"),
        conclusion__in=FAILED,
    )


WAITING = {
    Reason.REVIEW: waiting_for_review,
    Reason.MERGE: waiting_for_merge,
    Reason.DEPLOYMENT: waiting_for_deployment,
    Reason.CHECKS: failing_checks,
}

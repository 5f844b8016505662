"""The rows that figures count: with `at`, the time of each, and `value`, what is measured of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, DateTimeField, Exists, F, FloatField, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Cast, Extract, Greatest, Least

from apps.metrics.figures.expressions import DraftSeconds, WasDraft
from apps.metrics.figures.query import FigureQuery
from apps.metrics.models import DerivedClosing, DerivedCommit, DerivedDeployment, DerivedPullRequest, DerivedReview

Rows = QuerySet[Any]

NOTHING = Value(None, output_field=FloatField())


def no_value(_: FigureQuery) -> Any:
    """Return the value of rows that are only counted."""
    return NOTHING


@dataclass(frozen=True, kw_only=True)
class Population:
    """The rows of a figure, and what is measured of each.

    Figures that have the same `rows` are computed in one statement. `only` says which of the rows count.
    """

    rows: Callable[[FigureQuery], Rows]
    value: Callable[[FigureQuery], Any] = no_value
    only: Q | None = None

    def __call__(self, query: FigureQuery) -> Rows:
        rows = self.rows(query)
        counted: Rows = (rows if self.only is None else rows.filter(self.only)).annotate(value=self.value(query))
        return counted


def rows_opened(query: FigureQuery) -> Rows:
    return _pull_requests(query, at="opened_at")


def rows_merged(query: FigureQuery) -> Rows:
    return _pull_requests(query, at="merged_at")


def rows_first_reviewed(query: FigureQuery) -> Rows:
    return _pull_requests(query, at="review_wait_ended_at")


def rows_closed_unmerged(query: FigureQuery) -> Rows:
    """Return closings; a pull request that was closed several times counts once, by the closing that holds."""
    still_closed = Q(reopened_at__isnull=True) | Q(reopened_at__gt=query.as_of)
    rows = query.happened(DerivedClosing.objects.filter(still_closed), "closed_at")
    rows = query.attributed(rows, account="author", is_bot="is_bot_author", at=OuterRef("closed_at"))
    return rows.annotate(at=F("closed_at"))


def rows_in_progress(query: FigureQuery) -> Rows:
    """Return pull requests that are open and not drafts at the end of the window, or now if that is earlier."""
    closed_then = DerivedClosing.objects.filter(
        Q(reopened_at__isnull=True) | Q(reopened_at__gt=query.end_at),
        repository_id=OuterRef("repository_id"),
        number=OuterRef("number"),
        closed_at__lte=query.end_at,
    )
    rows = DerivedPullRequest.objects.filter(
        query.is_in_repositories(),
        Q(closed_at__isnull=True) | Q(closed_at__gt=query.end_at),
        ~Exists(closed_then),
        opened_at__lte=query.end_at,
        ready_at__lte=query.end_at,
    )
    rows = rows.alias(was_draft=WasDraft("draft_starts", "draft_ends", _instant(query.end_at)))
    rows = rows.filter(Q(draft_starts=[]) | Q(was_draft=False))
    rows = query.attributed(rows, account="author", is_bot="is_bot_author", at=query.end_at)
    return rows.annotate(at=F("ready_at"))


def rows_reviews(query: FigureQuery) -> Rows:
    rows = query.happened(DerivedReview.objects.filter(is_by_author=False), "submitted_at")
    rows = query.attributed(rows, account="reviewer", is_bot="is_by_bot", at=OuterRef("submitted_at"))
    return rows.annotate(at=F("submitted_at"))


def rows_commits(query: FigureQuery) -> Rows:
    """Return commits without known merges; not every push says which are merges."""
    rows = query.happened(DerivedCommit.objects.exclude(is_merge=True), "landed_at")
    rows = query.attributed(rows, account="author", is_bot="is_by_bot", at=OuterRef("landed_at"))
    return rows.annotate(at=F("landed_at"))


def rows_deployments(query: FigureQuery) -> Rows:
    """Return deployments of the team's repositories, by any account including bots."""
    rows = query.happened(DerivedDeployment.objects.filter(query.is_production()), "succeeded_at")
    return rows.annotate(at=F("succeeded_at"))


def rows_failed_deployments(query: FigureQuery) -> Rows:
    """Return deployments to production that failed and had not succeeded by then."""
    has_not_succeeded = Q(succeeded_at__isnull=True) | Q(succeeded_at__gt=query.as_of)
    rows = query.happened(DerivedDeployment.objects.filter(query.is_production(), has_not_succeeded), "failed_at")
    return rows.annotate(at=F("failed_at"))


def draft_seconds(query: FigureQuery) -> Any:
    seen_at = _instant(query.as_of)
    once = Extract(Least(F("draft_ends__0"), seen_at) - F("draft_starts__0"), "epoch")  # no end is left out by LEAST
    return Case(
        When(draft_starts=[], then=0.0),  # most never were one
        When(draft_starts__len=1, then=Greatest(Cast(once, FloatField()), 0.0)),  # most others were one once
        default=DraftSeconds("draft_starts", "draft_ends", seen_at),
        output_field=FloatField(),
    )


def was_reviewed(_: FigureQuery) -> Any:
    return Case(When(first_review_at__isnull=False, then=1.0), default=0.0, output_field=FloatField())


def age(query: FigureQuery) -> Any:
    return Cast(Extract(_instant(query.end_at) - F("ready_at"), "epoch"), FloatField())


def _pull_requests(query: FigureQuery, *, at: str) -> Rows:
    rows = query.happened(DerivedPullRequest.objects.all(), at)
    rows = query.attributed(rows, account="author", is_bot="is_bot_author", at=OuterRef(at))
    return rows.annotate(at=F(at))


def _instant(at: Any) -> Value:
    return Value(at, output_field=DateTimeField())


opened = Population(rows=rows_opened)
draft_times = Population(rows=rows_opened, value=draft_seconds)
merged = Population(rows=rows_merged)
cycle_times = Population(rows=rows_merged, value=lambda _: F("cycle_seconds"), only=Q(cycle_seconds__isnull=False))
sizes = Population(rows=rows_merged, value=lambda _: F("size"), only=Q(size__isnull=False))
reviewed = Population(rows=rows_merged, value=was_reviewed)
first_reviews = Population(rows=rows_first_reviewed, value=lambda _: F("first_review_seconds"))
closed_unmerged = Population(rows=rows_closed_unmerged)
in_progress = Population(rows=rows_in_progress, value=age)
reviews = Population(rows=rows_reviews)
commits = Population(rows=rows_commits)
deployments = Population(rows=rows_deployments)
failed_deployments = Population(rows=rows_failed_deployments)

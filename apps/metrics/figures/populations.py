"""What each figure counts: rows with `at`, the instant that dates them, and `value`, what is measured of them."""

from collections.abc import Callable
from typing import Any

from django.db.models import Case, DateTimeField, Exists, F, FloatField, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Cast, Extract, Lower

from apps.metrics.figures.expressions import DraftSeconds, WasDraft
from apps.metrics.figures.query import FigureQuery
from apps.metrics.models import DerivedClosing, DerivedCommit, DerivedDeployment, DerivedPullRequest, DerivedReview

Rows = QuerySet[Any]
Population = Callable[[FigureQuery], Rows]

NOTHING = Value(None, output_field=FloatField())


def opened(query: FigureQuery) -> Rows:
    return _pull_requests(query, at="opened_at", value=NOTHING)


def merged(query: FigureQuery) -> Rows:
    return _pull_requests(query, at="merged_at", value=NOTHING)


def closed_unmerged(query: FigureQuery) -> Rows:
    """A pull request that was closed, reopened and closed again counts once: by the closing that still holds."""
    still_closed = Q(reopened_at__isnull=True) | Q(reopened_at__gt=query.as_of)
    rows = query.happened(DerivedClosing.objects.filter(still_closed), "closed_at")
    rows = query.attributed(rows, account="author", is_bot="is_bot_author", at=OuterRef("closed_at"))
    return rows.annotate(at=F("closed_at"), value=NOTHING)


def cycle_times(query: FigureQuery) -> Rows:
    return _pull_requests(query, at="merged_at", value=F("cycle_seconds")).filter(cycle_seconds__isnull=False)


def first_reviews(query: FigureQuery) -> Rows:
    return _pull_requests(query, at="review_wait_ended_at", value=F("first_review_seconds"))


def draft_times(query: FigureQuery) -> Rows:
    seen_at = Value(query.as_of, output_field=DateTimeField())
    spent = Case(
        When(draft_starts=[], then=0.0),  # most never were one, and need no look into arrays
        default=DraftSeconds("draft_starts", "draft_ends", seen_at),
        output_field=FloatField(),
    )
    return _pull_requests(query, at="opened_at", value=spent)


def sizes(query: FigureQuery) -> Rows:
    return _pull_requests(query, at="merged_at", value=F("size")).filter(size__isnull=False)


def reviewed(query: FigureQuery) -> Rows:
    was_reviewed = Case(When(first_review_at__isnull=False, then=1.0), default=0.0, output_field=FloatField())
    return _pull_requests(query, at="merged_at", value=was_reviewed)


def in_progress(query: FigureQuery) -> Rows:
    """Open and no draft at the end of the window, or now if that is earlier."""
    seen_at = Value(query.end_at, output_field=DateTimeField())
    closed_then = DerivedClosing.objects.filter(
        Q(reopened_at__isnull=True) | Q(reopened_at__gt=query.end_at),
        repository_id=OuterRef("repository_id"),
        number=OuterRef("number"),
        closed_at__lte=query.end_at,
    )
    rows = DerivedPullRequest.objects.filter(
        Q(closed_at__isnull=True) | Q(closed_at__gt=query.end_at),
        ~Exists(closed_then),
        repository_id__in=query.repositories,
        opened_at__lte=query.end_at,
        ready_at__lte=query.end_at,
    )
    rows = rows.alias(was_draft=WasDraft("draft_starts", "draft_ends", seen_at))
    rows = rows.filter(Q(draft_starts=[]) | Q(was_draft=False))
    rows = query.attributed(rows, account="author", is_bot="is_bot_author", at=query.end_at)
    age = Cast(Extract(seen_at - F("ready_at"), "epoch"), FloatField())
    return rows.annotate(at=F("ready_at"), value=age)


def reviews(query: FigureQuery) -> Rows:
    rows = query.happened(DerivedReview.objects.filter(is_by_author=False), "submitted_at")
    rows = query.attributed(rows, account="reviewer", is_bot="is_by_bot", at=OuterRef("submitted_at"))
    return rows.annotate(at=F("submitted_at"), value=NOTHING)


def commits(query: FigureQuery) -> Rows:
    """Merges are left out as far as they are known; not every push tells."""
    rows = query.happened(DerivedCommit.objects.exclude(is_merge=True), "landed_at")
    rows = query.attributed(rows, account="author", is_bot="is_by_bot", at=OuterRef("landed_at"))
    return rows.annotate(at=F("landed_at"), value=NOTHING)


def deployments(query: FigureQuery) -> Rows:
    """By repository, whoever deployed, be it a bot: what was shipped is the team's."""
    production = [name.lower() for name in query.production_environments]
    rows = query.happened(DerivedDeployment.objects.all(), "succeeded_at")
    rows = rows.alias(environment_name=Lower("environment")).filter(environment_name__in=production)
    return rows.annotate(at=F("succeeded_at"), value=NOTHING)


def _pull_requests(query: FigureQuery, *, at: str, value: Any) -> Rows:
    rows = query.happened(DerivedPullRequest.objects.all(), at)
    rows = query.attributed(rows, account="author", is_bot="is_bot_author", at=OuterRef(at))
    return rows.annotate(at=F(at), value=value)

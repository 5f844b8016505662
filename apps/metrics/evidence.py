"""Everything that is known of a pull request, and what told us: the answer to "where does this number come from"."""

from collections.abc import Sequence

from django.db.models import Q

from apps.activity.models import Provenance, PullRequest, PullRequestEvent, Review
from apps.metrics.models import DerivedPullRequest

MOST_SOURCES = 500


def history_of(pull_request: PullRequest) -> list[PullRequestEvent]:
    """Its events, in their order."""
    return list(
        PullRequestEvent.objects.filter(repository=pull_request.repository_id, number=pull_request.number)
        .select_related("actor")
        .order_by("at", "pk")
    )


def reviews_of(pull_request: PullRequest) -> list[Review]:
    """Its reviews, in their order; deleted ones say so."""
    return list(
        Review.objects.filter(repository=pull_request.repository_id, number=pull_request.number)
        .select_related("author")
        .order_by("submitted_at", "pk")
    )


def derived_of(pull_request: PullRequest) -> DerivedPullRequest | None:
    """Return what the recalculation made of it; None before the first."""
    return DerivedPullRequest.objects.filter(
        repository_id=pull_request.repository_id, number=pull_request.number
    ).first()


def sources_of(pull_request: PullRequest, *, reviews: Sequence[Review]) -> list[Provenance]:
    """Return what spoke of it and of its reviews, the latest first, up to 500."""
    spoken_of = Q(entity="pull_request", key=f"{pull_request.repository_id}:{pull_request.number}")
    spoken_of |= Q(entity="review", key__in=[str(review.github_id) for review in reviews])
    return list(Provenance.objects.filter(spoken_of).order_by("-pk")[:MOST_SOURCES])

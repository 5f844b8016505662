"""Who reviews whom: the reviews that the figure counts, by reviewer and by author of the pull request."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, OuterRef, Subquery

from apps.activity.models import Contributor
from apps.metrics.figures import FigureQuery
from apps.metrics.figures.entities import rows_of_figure
from apps.metrics.models import DerivedPullRequest

KEY = "reviews"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPair:
    """The number of reviews that one account gave on the pull requests of another; an unknown login is empty."""

    reviewer: str
    author: str
    n: int


def read_review_pairs(query: FigureQuery) -> Sequence[ReviewPair]:
    """Return the pairs, those with the most reviews first; their numbers sum to the figure `reviews`."""
    pull_request = DerivedPullRequest.objects.filter(repository_id=OuterRef("repository_id"), number=OuterRef("number"))
    rows = (
        rows_of_figure(KEY, query)
        .order_by()
        .values(by=_login("reviewer_id"), of=Subquery(pull_request.values(login=_login("author_id"))[:1]))
    )
    pairs = (
        ReviewPair(reviewer=row["by"] or "", author=row["of"] or "", n=row["n"]) for row in rows.annotate(n=Count("pk"))
    )
    return sorted(pairs, key=lambda pair: (-pair.n, pair.reviewer, pair.author))


def _login(account: str) -> Subquery:
    return Subquery(Contributor.objects.filter(pk=OuterRef(account)).values("login")[:1])

"""Reviews of a pull request: which of them count. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from apps.activity.models import Review
from apps.metrics.derivation.review_rounds import Seen
from apps.metrics.derived_tables import Row
from apps.teams.models import AccountRule

Verdict = Review.Verdict
AccountClass = AccountRule.AccountClass
ASKING = (Verdict.CHANGES_REQUESTED, Verdict.COMMENTED)


@dataclass(frozen=True, slots=True)
class SubmittedReview:
    """A review, and who it is by; those of humans other than the author count."""

    review_id: int
    reviewer_id: int | None
    reviewer_login: str
    reviewer_class: str
    submitted_at: datetime
    verdict: str | None
    commit_sha: str | None
    is_by_author: bool

    @property
    def is_by_bot(self) -> bool:
        return self.reviewer_class != AccountClass.HUMAN

    @property
    def seen(self) -> Seen:
        return Seen(self.submitted_at, self.commit_sha)


def counted_reviews(reviews: Iterable[SubmittedReview], *, until: datetime | None) -> list[SubmittedReview]:
    """Return the reviews that count, the earliest first."""
    counted = (each for each in reviews if not reason_against(each, until=until))
    return sorted(counted, key=lambda each: (each.submitted_at, each.review_id))


def reason_against(review: SubmittedReview, *, until: datetime | None) -> str:
    """Return why a review does not count; empty if it does."""
    if review.is_by_bot:
        return "by_bot"
    if review.is_by_author:
        return "by_author"
    return "after_end" if until is not None and review.submitted_at > until else ""


def submitted_review(row: Row, *, author_id: int | None) -> SubmittedReview:
    """Return the review of a row of facts."""
    review_id, reviewer_id, reviewer_login, reviewer_class, submitted_at, verdict, commit_sha = row
    return SubmittedReview(
        review_id=review_id,
        reviewer_id=reviewer_id,
        reviewer_login=reviewer_login,
        reviewer_class=reviewer_class,
        submitted_at=submitted_at,
        verdict=verdict,
        commit_sha=commit_sha,
        is_by_author=reviewer_id == author_id,
    )

"""The figures of reviews and those who give them, and of the first response to a pull request."""

from django.db.models import F, Q

from apps.metrics.completeness.streams import ISSUE_COMMENTS, PULL_REQUESTS
from apps.metrics.figures import populations
from apps.metrics.figures.figure import BY_AUTHOR, NO_VALUE, Figure, Measure
from apps.metrics.figures.populations import Remark

BY_REVIEWER = BY_AUTHOR.replace("author", "reviewer")

DEFINED = (
    Figure(
        key="time_to_first_response",
        title="Time to first response",
        unit="seconds",
        measure=Measure.DISTRIBUTION,
        definition="Time from ready for review to the first review or comment by a human other than the author.",
        rules=(
            BY_AUTHOR,
            "A response given while still a draft counts as 0 on the day it became ready, and is listed separately.",
            "A comment on a line is part of a review. Responses after the close or merge, and deleted ones, do not "
            "count.",
            "Pull requests without a response are left out, not counted as 0.",
        ),
        population=populations.first_responses,
        streams=(PULL_REQUESTS, ISSUE_COMMENTS),
        also_excluded={"merged_without_response": populations.never_responded},
        remarks={"responded_in_draft": Remark(only=Q(first_response_at__lt=F("ready_at")))},
    ),
    Figure(
        key="reviews",
        title="Reviews",
        unit="reviews",
        measure=Measure.COUNT,
        definition="Reviews submitted in the period by humans other than the author.",
        rules=(
            BY_REVIEWER,
            "Dismissed reviews count, deleted ones do not.",
        ),
        population=populations.reviews,
        streams=(PULL_REQUESTS,),
    ),
    Figure(
        key="review_load",
        title="Review load",
        unit="reviews per reviewer",
        measure=Measure.PER_ACCOUNT,
        definition="Reviews submitted in the period by humans other than the author, per reviewer.",
        rules=(
            BY_REVIEWER,
            "Reviewers are those who reviewed in the period; those who did not are not counted as 0.",
        ),
        population=populations.reviews,
        streams=(PULL_REQUESTS,),
    ),
    Figure(
        key="review_turnaround",
        title="Review turnaround",
        unit="seconds",
        measure=Measure.DISTRIBUTION,
        definition="Time from the request of a review to the next review by the account that was asked, by the day of "
        "that review.",
        rules=(
            BY_REVIEWER,
            "A request that is repeated after the review counts again; if it is repeated before the review, the time "
            "lasts from the first request.",
            "Requests of a team of GitHub are left out: no single account has to answer them. So are those that were "
            "withdrawn or not answered, by the day of the request.",
            NO_VALUE,
        ),
        population=populations.turnarounds,
        streams=(PULL_REQUESTS,),
        also_excluded={
            "not_answered": populations.unanswered,
            "withdrawn": populations.withdrawn,
            "requested_of_team": populations.requested_of_teams,
        },
    ),
)

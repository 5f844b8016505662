"""Derived rows of pull requests, their closings, reviews and review requests, and of commits on the default branch."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Cast, Coalesce

from apps.activity.models import Review
from apps.metrics.models.fields import (
    author_class_field,
    contributor_reference,
    repository_reference,
    rules_version_field,
)

ENDED_AT = Coalesce("closed_at", Cast(Value("infinity"), models.DateTimeField()))
"""The end of a pull request, as far in the future as can be while it is open: one range of an index."""


class DerivedPullRequest(models.Model):
    """The times and durations of a pull request."""

    repository = repository_reference()
    number = models.IntegerField()
    author = contributor_reference()
    author_class = author_class_field()
    is_bot_author = models.BooleanField(help_text="whether an agent or another bot opened it")
    attributed_to = contributor_reference(help_text="the person who answers for what an agent opened")
    is_ai_assisted = models.BooleanField(db_default=False, help_text="a person opened it, and a tool took part")
    is_ai_reviewed = models.BooleanField(db_default=False, help_text="a tool reviewed it before it ended")

    opened_at = models.DateTimeField()
    is_opened_as_draft = models.BooleanField()
    ready_at = models.DateTimeField(null=True, blank=True)
    first_commit_at = models.DateTimeField(null=True, blank=True)
    is_first_commit_adjusted = models.BooleanField()
    first_review_at = models.DateTimeField(null=True, blank=True)
    first_approval_at = models.DateTimeField(null=True, blank=True)
    review_wait_ended_at = models.DateTimeField(null=True, blank=True)
    first_response_at = models.DateTimeField(null=True, blank=True, help_text="the first review or comment")
    response_wait_ended_at = models.DateTimeField(null=True, blank=True)
    merged_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    # The intervals spent as a draft; the end of the last one is null while it lasts.
    draft_starts = ArrayField(models.DateTimeField())
    draft_ends = ArrayField(models.DateTimeField(null=True))
    is_draft = models.BooleanField()

    cycle_seconds = models.BigIntegerField(null=True, blank=True)
    first_review_seconds = models.BigIntegerField(null=True, blank=True)
    first_response_seconds = models.BigIntegerField(null=True, blank=True)
    size = models.BigIntegerField(null=True, blank=True)
    review_rounds = models.IntegerField(
        null=True, blank=True, help_text="empty if the pushes after a review are unknown"
    )
    is_reviewed_in_draft = models.BooleanField()
    is_reopened = models.BooleanField()
    is_force_pushed = models.BooleanField()
    is_cherry_picked = models.BooleanField(db_default=False, help_text="a commit of it is a copy of one that landed")
    merge_sha = models.TextField(null=True, blank=True)  # noqa: DJ001  null until merged
    landed_at = models.DateTimeField(null=True, blank=True, help_text="arrival of the merge on the default branch")
    coding_seconds = models.BigIntegerField(null=True, blank=True)
    pickup_seconds = models.BigIntegerField(null=True, blank=True)
    review_seconds = models.BigIntegerField(null=True, blank=True)
    merge_seconds = models.BigIntegerField(null=True, blank=True)
    queue_seconds = models.BigIntegerField(
        null=True, blank=True, help_text="in the merge queue; empty if it never was, or is not merged"
    )
    queue_starts = ArrayField(models.DateTimeField(), null=True, blank=True)
    queue_ends = ArrayField(models.DateTimeField(), null=True, blank=True)
    is_auto_merged = models.BooleanField(db_default=False, help_text="whether auto-merge was on when it was merged")
    reverts_number = models.IntegerField(null=True, blank=True, help_text="number of the pull request that it reverts")
    is_hotfix = models.BooleanField(db_default=False)
    rules_version = rules_version_field()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("repository", "number"), name="one_derived_row_per_pull_request"),
            models.CheckConstraint(condition=Q(cycle_seconds__gte=0), name="cycle_time_is_never_negative"),
            models.CheckConstraint(condition=Q(first_review_seconds__gte=0), name="review_wait_is_never_negative"),
            models.CheckConstraint(condition=Q(first_response_seconds__gte=0), name="response_wait_is_never_negative"),
            models.CheckConstraint(
                condition=Q(coding_seconds__gte=0, pickup_seconds__gte=0, review_seconds__gte=0, merge_seconds__gte=0),
                name="a_stage_before_the_merge_is_never_negative",
            ),
            models.CheckConstraint(condition=Q(queue_seconds__gte=0), name="time_in_the_queue_is_never_negative"),
        )
        indexes = (
            # prs_merged, cycle_time, pr_size, review_rounds and review_coverage; here and below, a figure reads no
            # table for the columns that the index has.
            models.Index(
                fields=("repository", "merged_at"),
                name="merged_by_repository",
                condition=Q(merged_at__isnull=False),
                include=(
                    *("number", "author", "is_bot_author", "author_class", "attributed_to"),
                    *("is_ai_assisted", "is_ai_reviewed"),
                    *("cycle_seconds", "size", "first_review_at", "first_response_at", "review_rounds"),
                    *("coding_seconds", "pickup_seconds", "review_seconds", "merge_seconds"),
                    *("queue_seconds", "is_auto_merged", "reverts_number", "is_hotfix"),
                ),
            ),
            # agent_authored: among a million of people's pull requests, those of agents may be few.
            models.Index(
                fields=("repository", "merged_at"),
                name="agents_merged_by_repository",
                condition=Q(merged_at__isnull=False, author_class="agent"),
                include=("author", "is_bot_author", "author_class", "attributed_to"),
            ),
            # prs_opened and time_in_draft.
            models.Index(fields=("repository", "opened_at"), name="opened_by_repository"),
            # time_to_first_review.
            models.Index(
                fields=("repository", "review_wait_ended_at"),
                name="review_waits_by_repository",
                condition=Q(review_wait_ended_at__isnull=False),
                include=(
                    *("author", "is_bot_author", "author_class", "attributed_to"),
                    *("first_review_seconds", "is_reviewed_in_draft"),
                ),
            ),
            # time_to_first_response.
            models.Index(
                fields=("repository", "response_wait_ended_at"),
                name="response_waits_by_repository",
                condition=Q(response_wait_ended_at__isnull=False),
                include=(
                    *("author", "is_bot_author", "author_class", "attributed_to"),
                    *("first_response_seconds", "first_response_at", "ready_at"),
                ),
            ),
            # wip and age: what was open at an instant had been opened by then, and ended later, or not at all.
            models.Index("repository", ENDED_AT, "opened_at", name="open_by_repository"),
            # reverted_rate: is there a merge that reverts it?
            models.Index(
                fields=("repository", "reverts_number", "merged_at"),
                name="merged_reverts_of_one",
                condition=Q(reverts_number__isnull=False, merged_at__isnull=False),
            ),
            # A deployment asks for the merges between its neighbours.
            models.Index(
                fields=("repository", "landed_at"), name="landed_by_repository", condition=Q(landed_at__isnull=False)
            ),
        )

    def __str__(self) -> str:
        return f"{self.repository_id}#{self.number}"


class DerivedClosing(models.Model):
    """A period in which a pull request was closed without being merged."""

    repository = repository_reference()
    number = models.IntegerField()
    author = contributor_reference()
    author_class = author_class_field()
    attributed_to = contributor_reference()
    is_bot_author = models.BooleanField()
    closed_at = models.DateTimeField()
    reopened_at = models.DateTimeField(null=True, blank=True)
    rules_version = rules_version_field()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("repository", "number", "closed_at"), name="one_row_per_closing"),
            models.CheckConstraint(
                condition=Q(reopened_at__gte=models.F("closed_at")), name="reopened_after_it_was_closed"
            ),
        )
        # closed_unmerged.
        indexes = (models.Index(fields=("repository", "closed_at"), name="closings_by_repository"),)

    def __str__(self) -> str:
        return f"{self.repository_id}#{self.number} closed"


class DerivedReview(models.Model):
    """A submitted review and whether it qualifies: by a human other than the author of the pull request."""

    review = models.OneToOneField(
        Review, on_delete=models.DO_NOTHING, db_constraint=False, primary_key=True, related_name="+"
    )
    repository = repository_reference()
    number = models.IntegerField()
    reviewer = contributor_reference()
    submitted_at = models.DateTimeField()
    verdict = models.TextField(null=True, blank=True)  # noqa: DJ001  unknown once dismissed
    is_by_bot = models.BooleanField()
    is_by_author = models.BooleanField()
    rules_version = rules_version_field()

    class Meta:
        indexes = (
            # reviews.
            models.Index(
                fields=("repository", "submitted_at"),
                name="submitted_by_repository",
                include=("reviewer", "is_by_bot", "is_by_author"),
            ),
            # The recalculation replaces the reviews of a pull request.
            models.Index(fields=("repository", "number"), name="derived_reviews_of_one"),
        )

    def __str__(self) -> str:
        return f"review {self.review_id}"


class DerivedReviewRequest(models.Model):
    """A review that was requested of an account or of a team of GitHub, until it was answered or withdrawn."""

    repository = repository_reference()
    number = models.IntegerField()
    subject = models.TextField(help_text="the id of an account, or `team:` and that of a team")
    reviewer = contributor_reference()
    is_bot_reviewer = models.BooleanField()
    requested_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    answer_seconds = models.BigIntegerField(null=True, blank=True)
    rules_version = rules_version_field()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("repository", "number", "subject", "requested_at"), name="one_row_per_review_request"
            ),
            models.CheckConstraint(condition=Q(answer_seconds__gte=0), name="an_answer_is_after_its_request"),
            models.CheckConstraint(
                condition=Q(answered_at__isnull=True) | Q(withdrawn_at__isnull=True),
                name="a_withdrawn_request_has_no_answer",
            ),
        )
        indexes = (
            # review_turnaround.
            models.Index(
                fields=("repository", "answered_at"),
                name="answers_by_repository",
                condition=Q(answered_at__isnull=False),
                include=("reviewer", "is_bot_reviewer", "answer_seconds"),
            ),
            # The requests without an answer, which it leaves out.
            models.Index(fields=("repository", "requested_at"), name="requests_by_repository"),
        )

    def __str__(self) -> str:
        return f"review of {self.repository_id}#{self.number} by {self.subject}"

    @property
    def name(self) -> str:
        """Return what identifies it within its repository."""
        return f"{self.number}:{self.subject}:{self.requested_at:%Y-%m-%dT%H:%M:%SZ}"


class DerivedCommit(models.Model):
    """A commit on the default branch, with its author resolved."""

    repository = repository_reference()
    sha = models.TextField()
    author = contributor_reference()
    author_login = models.TextField(blank=True)
    is_by_bot = models.BooleanField()
    is_merge = models.BooleanField(null=True)
    landed_at = models.DateTimeField()
    rules_version = rules_version_field()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("repository", "sha"), name="one_derived_row_per_commit"),)
        indexes = (
            # commits.
            models.Index(
                fields=("repository", "landed_at"),
                name="commits_by_repository",
                include=("author", "is_by_bot", "is_merge"),
            ),
            # A renamed account loses the commits that only its login named.
            models.Index(fields=("author",), name="commits_of_an_author", condition=Q(author__isnull=False)),
        )

    def __str__(self) -> str:
        return self.sha[:7]

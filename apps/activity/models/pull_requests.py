"""Rows of pull requests, their history, commits and reviews, of issues, and of the comments on both."""

from datetime import timedelta
from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from apps.activity.models.accounts import Contributor, stamp_field
from apps.activity.models.repositories import Repository


class PullRequest(models.Model):
    """The current state of a pull request, one stamp per field group."""

    class State(models.TextChoices):
        OPEN = "open"
        CLOSED = "closed"

    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, db_index=False, related_name="pull_requests")
    number = models.IntegerField()

    github_id = models.BigIntegerField(null=True, blank=True)
    title = models.TextField(db_default="", blank=True)
    state = models.TextField(db_default="", blank=True, choices=State.choices)
    is_draft = models.BooleanField(db_default=False)
    author = models.ForeignKey(Contributor, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    author_association = models.TextField(null=True, blank=True)  # noqa: DJ001  not in every payload
    created_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    merged_at = models.DateTimeField(null=True, blank=True)
    merge_sha = models.TextField(null=True, blank=True)  # noqa: DJ001  null until merged
    base_ref = models.TextField(db_default="", blank=True)
    head_ref = models.TextField(db_default="", blank=True)
    head_sha = models.TextField(db_default="", blank=True)
    is_cross_repository = models.BooleanField(null=True)
    core_stamp = stamp_field()

    additions = models.IntegerField(null=True, blank=True)
    deletions = models.IntegerField(null=True, blank=True)
    changed_files = models.IntegerField(null=True, blank=True)
    commit_count = models.IntegerField(null=True, blank=True)
    merged_by = models.ForeignKey(Contributor, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    sizes_stamp = stamp_field()

    labels = ArrayField(models.TextField(), null=True, blank=True)
    labels_stamp = stamp_field()

    assignee_ids = ArrayField(models.BigIntegerField(), null=True, blank=True)
    assignees_stamp = stamp_field()

    body = models.TextField(db_default="", blank=True)
    text_stamp = stamp_field()

    stack_id = models.BigIntegerField(null=True, blank=True)
    stack_number = models.IntegerField(null=True, blank=True)
    stack_size = models.IntegerField(null=True, blank=True)
    stack_position = models.IntegerField(null=True, blank=True)
    stack_base_ref = models.TextField(null=True, blank=True)  # noqa: DJ001  null outside a stack
    stack_base_sha = models.TextField(null=True, blank=True)  # noqa: DJ001  null outside a stack
    stack_stamp = stamp_field()

    listed_head_sha = models.TextField(db_default="", blank=True)
    listed_commit_count = models.IntegerField(null=True, blank=True)
    commit_list_stamp = stamp_field()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("repository", "number"), name="one_pull_request_per_number"),)
        indexes = (
            # A push asks which pull requests its branch feeds.
            models.Index(fields=("repository", "head_ref"), name="pull_request_by_head_ref"),
            # What was merged into the head of another pull request ships with it.
            models.Index(
                fields=("repository", "base_ref", "merged_at"),
                name="merged_by_base_ref",
                condition=models.Q(merged_at__isnull=False),
            ),
            # A commit that lands on the default branch asks which pull request it is the merge of.
            models.Index(
                fields=("repository", "merge_sha"),
                name="pull_request_by_merge",
                condition=models.Q(merge_sha__isnull=False),
            ),
            # A person's class bears on the pull requests of agents that are attributed to the person assigned.
            GinIndex(fields=("assignee_ids",), name="pull_requests_of_an_assignee"),
            # The pull request list is read newest first.
            models.Index(fields=("repository", "-updated_at"), name="pull_request_newest_first"),
            # Whose commits are to be asked for, the latest first. They are few, but the planner expects many: it comes
            # here for a query in this order that says how many are enough.
            models.Index(
                fields=("-updated_at",),
                name="pull_request_unlisted",
                condition=~models.Q(listed_head_sha=models.F("head_sha")),
            ),
            # Reconciliation reads again what is open.
            models.Index(fields=("repository",), name="pull_request_open", condition=models.Q(state="open")),
        )

    def __str__(self) -> str:
        return f"{self.repository_id}#{self.number} {self.title}"


class PullRequestEvent(models.Model):
    """A member of a pull request's history."""

    class Kind(models.TextChoices):
        READY_FOR_REVIEW = "ready_for_review"
        CONVERTED_TO_DRAFT = "converted_to_draft"
        CLOSED = "closed"
        MERGED = "merged"
        REOPENED = "reopened"
        REVIEW_REQUESTED = "review_requested"
        REVIEW_REQUEST_REMOVED = "review_request_removed"
        REVIEW_DISMISSED = "review_dismissed"
        HEAD_MOVED = "head_moved"
        FORCE_PUSHED = "force_pushed"
        LABELED = "labeled"
        UNLABELED = "unlabeled"
        THREAD_RESOLVED = "thread_resolved"
        THREAD_UNRESOLVED = "thread_unresolved"
        ENQUEUED = "enqueued"
        DEQUEUED = "dequeued"
        AUTO_MERGE_ENABLED = "auto_merge_enabled"
        AUTO_MERGE_DISABLED = "auto_merge_disabled"
        BASE_CHANGED = "base_changed"

    class Source(models.TextChoices):
        WEBHOOK = "webhook"
        API = "api"

    SAME: ClassVar = timedelta(seconds=10)
    """A webhook knows an event only by the pull request's `updated_at`, which may lag behind the event's own time."""

    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, db_index=False, related_name="+")
    number = models.IntegerField()
    kind = models.TextField(choices=Kind.choices)
    subject = models.TextField(db_default="", blank=True)
    at = models.DateTimeField()
    source = models.TextField(choices=Source.choices)
    actor = models.ForeignKey(Contributor, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    # Why it left the merge queue. No part of the key: webhooks and the API have words of their own for it.
    reason = models.TextField(null=True, blank=True)  # noqa: DJ001  null is unknown

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("repository", "number", "kind", "subject", "at", "source"),
                name="one_row_per_event_in_a_history",
            ),
        )
        # An account whose class changes asks which reviews were requested of it.
        indexes = (
            models.Index(
                fields=("subject",),
                name="review_requests_of_an_account",
                condition=models.Q(kind="review_requested"),
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%Y-%m-%d %H:%M:%S}"


class PullRequestCommit(models.Model):
    """A commit of a pull request while `head_sha` was its head."""

    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, db_index=False, related_name="+")
    number = models.IntegerField()
    head_sha = models.TextField()
    sha = models.TextField()
    authored_at = models.DateTimeField(null=True, blank=True)
    committed_at = models.DateTimeField(null=True, blank=True)
    author = models.ForeignKey(Contributor, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    # Null in rows that were read before these columns existed.
    position = models.IntegerField(null=True, blank=True)
    is_by_author = models.SmallIntegerField(null=True, blank=True)
    trailers = ArrayField(models.TextField(), null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("repository", "number", "head_sha", "sha"), name="one_row_per_commit_of_a_head"
            ),
        )
        # A commit that lands asks which pull requests have a later copy of it.
        indexes = (
            models.Index(
                fields=("repository", "authored_at"),
                name="listed_copies_by_author_date",
                condition=models.Q(committed_at__gt=models.F("authored_at")),
            ),
        )

    def __str__(self) -> str:
        return self.sha[:7]


class Review(models.Model):
    """A submitted review; what it said and whether it was dismissed stand side by side."""

    class Verdict(models.TextChoices):
        APPROVED = "approved"
        CHANGES_REQUESTED = "changes_requested"
        COMMENTED = "commented"

    github_id = models.BigIntegerField(primary_key=True)
    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, db_index=False, related_name="+")
    number = models.IntegerField()
    author = models.ForeignKey(Contributor, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    submitted_at = models.DateTimeField(null=True, blank=True)
    commit_sha = models.TextField(null=True, blank=True)  # noqa: DJ001  lost when the head was force-pushed away
    stamp = stamp_field()
    verdict = models.TextField(null=True, blank=True, choices=Verdict.choices)  # noqa: DJ001  unknown once dismissed
    verdict_stamp = stamp_field()
    dismissed_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = (models.Index(fields=("repository", "number"), name="reviews_of_a_pull_request"),)

    def __str__(self) -> str:
        return f"review {self.github_id}"


class ReviewComment(models.Model):
    """A comment on a line of the diff."""

    github_id = models.BigIntegerField(primary_key=True)
    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, db_index=False, related_name="+")
    number = models.IntegerField()
    review_id = models.BigIntegerField(null=True, blank=True)
    author = models.ForeignKey(Contributor, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    stamp = stamp_field()

    class Meta:
        indexes = (models.Index(fields=("repository", "number"), name="review_comments_of_one"),)

    def __str__(self) -> str:
        return f"review comment {self.github_id}"


class Issue(models.Model):
    """An issue; it shares its numbers with the pull requests of the repository."""

    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, db_index=False, related_name="+")
    number = models.IntegerField()
    github_id = models.BigIntegerField(null=True, blank=True)
    title = models.TextField(db_default="", blank=True)
    state = models.TextField(db_default="", blank=True)
    state_reason = models.TextField(null=True, blank=True)  # noqa: DJ001  null is GitHub's word for no reason
    author = models.ForeignKey(Contributor, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    labels = ArrayField(models.TextField(), null=True, blank=True)
    created_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    causes = ArrayField(models.TextField(), null=True, blank=True, help_text="what it says that it was caused by")
    stamp = stamp_field()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("repository", "number"), name="one_issue_per_number"),)

    def __str__(self) -> str:
        return f"{self.repository_id}#{self.number} {self.title}"


class IssueComment(models.Model):
    """A comment on an issue or, outside any diff, on a pull request."""

    github_id = models.BigIntegerField(primary_key=True)
    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, db_index=False, related_name="+")
    number = models.IntegerField()
    is_on_pull_request = models.BooleanField(null=True)
    author = models.ForeignKey(Contributor, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    stamp = stamp_field()

    class Meta:
        indexes = (models.Index(fields=("repository", "number"), name="comments_of_one"),)

    def __str__(self) -> str:
        return f"comment {self.github_id}"

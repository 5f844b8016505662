"""What is read of each repository's history, and what a refresh of pull requests did not get."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from apps.activity.models import Repository
from apps.jobs.models import Job, JobQuerySet
from apps.teams.visibility import repositories_visible_to


class BackfillQuerySet(JobQuerySet["Backfill"]):
    """Every change of state is one guarded UPDATE; the row count says whether it happened."""

    def visible_to(self, user: Any) -> "BackfillQuerySet":
        """Return those of the repositories that the user may see."""
        return self.filter(repository__in=repositories_visible_to(user).order_by().values("pk"))


class Backfill(Job):
    """The job that reads one stream of a repository's history. Its cursor and the facts of a page commit together."""

    KIND: ClassVar = "read_stream"

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, db_index=False, related_name="backfills")
    stream = models.TextField(help_text="as apps.integrations.streams names it")
    sync = models.ForeignKey(
        "RepositorySync",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="backfills",
        help_text="the reconciliation that it is a part of; its drift is counted there",
    )
    since = models.DateTimeField(null=True, blank=True, help_text="only what was updated since; empty for everything")
    until = models.DateTimeField(null=True, blank=True, help_text="nothing that was created later")

    objects = BackfillQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        indexes: ClassVar = [
            # those of one repository, newest first
            models.Index(fields=["repository", "-job_ptr"], name="backfill_of_repository"),
        ]

    def __str__(self) -> str:
        return f"{self.stream} of {self.repository}"


class RefreshFailureQuerySet(models.QuerySet["RefreshFailure"]):
    """Failures of the refresh."""

    def resting(self) -> "RefreshFailureQuerySet":
        """Return those that are not tried now: given up, or not yet due again."""
        return self.filter(Q(not_before=None) | Q(not_before__gt=Now()))


class RefreshFailure(models.Model):
    """A head of a pull request whose commits GitHub did not list when it was asked; another head takes its place."""

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="+", db_index=False)
    number = models.IntegerField()
    head_sha = models.TextField()
    attempts = models.SmallIntegerField()
    not_before = models.DateTimeField(null=True, blank=True, help_text="when it is tried again; empty when given up")
    reason = models.TextField(db_default="", blank=True, help_text="GitHub's words, or ours")
    tried_at = models.DateTimeField(db_default=Now())

    objects = RefreshFailureQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            # It also finds those that are not tried now among the pull requests that are looked at.
            models.UniqueConstraint(fields=["repository", "number"], name="one_refresh_failure_per_pull_request"),
        ]

    def __str__(self) -> str:
        return f"{self.repository_id}#{self.number} at {self.head_sha[:7]}"

"""Pull requests whose refresh failed: what GitHub did not show of them, and when it is asked again."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from apps.activity.models import Repository


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

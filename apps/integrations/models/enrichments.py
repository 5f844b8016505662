"""What webhooks left out of pull requests: how asking for it fares, and what GitHub did not show."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from apps.activity.models import Repository


class EnrichmentAttemptQuerySet(models.QuerySet["EnrichmentAttempt"]):
    """Those that failed."""

    def resting(self) -> "EnrichmentAttemptQuerySet":
        """Those that are not tried now: given up, or not yet due again."""
        return self.filter(Q(not_before=None) | Q(not_before__gt=Now()))


class EnrichmentAttempt(models.Model):
    """A head of a pull request whose commits GitHub did not list when it was asked; another head takes its place."""

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="+", db_index=False)
    number = models.IntegerField()
    head_sha = models.TextField()
    attempts = models.SmallIntegerField()
    not_before = models.DateTimeField(null=True, blank=True, help_text="when it is tried again; empty when given up")
    reason = models.TextField(db_default="", blank=True, help_text="GitHub's words, or ours")
    tried_at = models.DateTimeField(db_default=Now())

    objects = EnrichmentAttemptQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            # It also finds what rests among the pull requests that are looked at.
            models.UniqueConstraint(fields=["repository", "number"], name="one_attempt_row_per_pull_request"),
        ]

    def __str__(self) -> str:
        return f"{self.repository_id}#{self.number} at {self.head_sha[:7]}"

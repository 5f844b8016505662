"""What webhooks left out of pull requests: how asking for it fares, and what GitHub did not show."""

from datetime import timedelta
from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from apps.activity.models import Installation, Repository
from apps.integrations.models.backfills import LEASE


class EnrichmentQuerySet(models.QuerySet["Enrichment"]):
    """Every change of state is one guarded UPDATE; the row count says whether it happened."""

    def resting(self) -> "EnrichmentQuerySet":
        """Those that nobody may claim now: a worker is at it, or their wait is not over."""
        return self.filter(Q(not_before__gt=Now()) | Q(lease_until__gte=Now()))

    def claim(self) -> int:
        """Take those that do not rest."""
        free = self.filter(Q(lease_until=None) | Q(lease_until__lt=Now()), not_before__lte=Now())
        return free.update(lease_until=Now() + LEASE, claim_number=F("claim_number") + 1)

    def release(self, *, claim_number: int, after: timedelta, **learned: Any) -> int:
        """Give back those that nobody else claimed meanwhile; they are due again after a while."""
        held = self.filter(claim_number=claim_number, lease_until__isnull=False)
        return held.update(lease_until=None, not_before=Now() + after, **learned)


class Enrichment(models.Model):
    """Asking for what is missing of an installation's pull requests: one row, used again and again."""

    installation = models.OneToOneField(Installation, on_delete=models.CASCADE, primary_key=True, related_name="+")
    not_before = models.DateTimeField(db_default=Now())
    claim_number = models.IntegerField(db_default=0, help_text="only grows; who holds another gives nothing back")
    lease_until = models.DateTimeField(null=True, blank=True)
    batch_size = models.SmallIntegerField(help_text="how many pull requests are asked for at once; learned as it goes")
    attempts = models.SmallIntegerField(db_default=0, help_text="failures since GitHub last answered")
    reason = models.TextField(db_default="", blank=True, help_text="why it waits, as one word")
    error = models.TextField(db_default="", blank=True, help_text="GitHub's words")

    objects = EnrichmentQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return f"enrichment of installation {self.installation_id}"


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

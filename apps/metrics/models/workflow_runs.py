"""Derived rows of workflow runs."""

from django.db import models
from django.db.models import Q

from apps.metrics.models.fields import contributor_reference, repository_reference, rules_version_field


class DerivedWorkflowRun(models.Model):
    """A concluded attempt of a workflow run; the last of them decides what became of the run.

    What followed an attempt has a time, so what is known of an instant stays as it was.
    """

    repository = repository_reference()
    run_id = models.BigIntegerField()
    attempt = models.IntegerField()
    workflow_id = models.BigIntegerField()
    workflow = models.TextField(blank=True, help_text="name of the workflow")
    event = models.TextField(blank=True)
    branch = models.TextField(blank=True, help_text="empty for a tag")
    sha = models.TextField(blank=True)
    actor = contributor_reference()
    is_by_bot = models.BooleanField()
    conclusion = models.TextField(blank=True)
    created_at = models.DateTimeField(null=True, blank=True, help_text="start of the first attempt")
    started_at = models.DateTimeField(null=True, blank=True)
    concluded_at = models.DateTimeField()
    run_again_at = models.DateTimeField(null=True, blank=True, help_text="conclusion of a later attempt")
    queued_seconds = models.BigIntegerField(
        null=True, blank=True, help_text="empty if no webhook says when it began to run"
    )
    duration_seconds = models.BigIntegerField(null=True, blank=True)
    is_flaky = models.BooleanField(
        null=True, help_text="succeeded after an attempt that failed; empty if earlier attempts are unknown"
    )
    rules_version = rules_version_field()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("repository", "run_id", "attempt"), name="one_derived_row_per_attempt_of_a_run"
            ),
            models.CheckConstraint(
                condition=Q(queued_seconds__gte=0, duration_seconds__gte=0), name="a_run_never_takes_negative_time"
            ),
            models.CheckConstraint(condition=Q(attempt__gt=1) | Q(is_flaky=False), name="a_first_attempt_is_not_flaky"),
        )
        indexes = (
            # ci_success_rate, ci_duration, ci_queue_time, ci_attempts and ci_flaky_share.
            models.Index(
                fields=("repository", "concluded_at"),
                name="concluded_by_repository",
                include=(
                    *("actor", "is_by_bot", "conclusion", "attempt", "run_again_at"),
                    *("queued_seconds", "duration_seconds", "is_flaky"),
                ),
            ),
        )

    def __str__(self) -> str:
        return f"{self.workflow} {self.run_id} attempt {self.attempt}"

    @property
    def name(self) -> str:
        """Return the run and the attempt, as GitHub's pages name them."""
        return f"{self.run_id}/attempts/{self.attempt}"

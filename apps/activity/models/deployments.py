"""Rows of workflow runs, deployments and their statuses."""

from django.db import models

from apps.activity.models.accounts import Contributor, stamp_field
from apps.activity.models.repositories import Repository


class Deployment(models.Model):
    """A request to deploy a commit; its statuses say whether it succeeded."""

    github_id = models.BigIntegerField(primary_key=True)
    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, db_index=False, related_name="deployments")
    sha = models.TextField(db_default="", blank=True)
    environment = models.TextField(db_default="", blank=True)
    task = models.TextField(db_default="", blank=True)
    creator = models.ForeignKey(Contributor, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(null=True, blank=True)
    stamp = stamp_field()
    ref = models.TextField(db_default="", blank=True)
    ref_stamp = stamp_field()
    is_production = models.BooleanField(null=True)
    is_transient = models.BooleanField(null=True)
    flags_stamp = stamp_field()
    run_id = models.BigIntegerField(null=True, blank=True)
    run_stamp = stamp_field()
    run_attempt = models.IntegerField(null=True, blank=True)
    job_id = models.BigIntegerField(null=True, blank=True)
    job_name = models.TextField(db_default="", blank=True)

    class Meta:
        indexes = (
            # Recalculation asks for all deployments that one run made in one environment.
            models.Index(fields=("repository", "run_id", "environment"), name="deployments_of_a_run"),
            # A job that deploys beside another one is a service: which jobs of a run deploy to one environment?
            models.Index(
                fields=("repository", "environment", "run_id", "job_name"),
                name="deployments_of_jobs",
                condition=~models.Q(job_name=""),
            ),
            # A commit that lands late gives a deployment its place on the branch.
            models.Index(fields=("repository", "sha"), name="deployments_of_a_commit"),
            # Reconciliation looks for those of late that are not over.
            models.Index(fields=("repository", "created_at"), name="deployments_of_late"),
        )

    def __str__(self) -> str:
        return f"deployment {self.github_id} to {self.environment}"


class DeploymentStatus(models.Model):
    """A report on a deployment."""

    github_id = models.BigIntegerField(primary_key=True)
    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, related_name="+")
    deployment_id = models.BigIntegerField()
    state = models.TextField(db_default="", blank=True)
    environment = models.TextField(db_default="", blank=True)
    creator = models.ForeignKey(Contributor, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(null=True, blank=True)
    stamp = stamp_field()

    class Meta:
        verbose_name_plural = "deployment statuses"
        indexes = (models.Index(fields=("deployment_id",), name="statuses_of_a_deployment"),)

    def __str__(self) -> str:
        return self.state


class WorkflowRun(models.Model):
    """An attempt of a workflow run."""

    run_id = models.BigIntegerField()
    attempt = models.IntegerField()
    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, db_index=False, related_name="+")
    workflow_id = models.BigIntegerField(db_default=0)
    name = models.TextField(db_default="", blank=True)
    event = models.TextField(db_default="", blank=True)
    status = models.TextField(db_default="", blank=True)
    conclusion = models.TextField(null=True, blank=True)  # noqa: DJ001  null until concluded
    head_branch = models.TextField(null=True, blank=True)  # noqa: DJ001  null for a run of a fork or a tag
    head_sha = models.TextField(db_default="", blank=True)
    actor = models.ForeignKey(Contributor, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    in_progress_at = models.DateTimeField(null=True, blank=True, help_text="empty if no webhook said so")
    concluded_at = models.DateTimeField(null=True, blank=True)
    stamp = stamp_field()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("run_id", "attempt"), name="one_row_per_attempt_of_a_run"),)
        indexes = (
            # A commit that lands late gives a run that deployed it its place on the branch.
            models.Index(fields=("repository", "head_sha"), name="runs_of_a_commit"),
            # Reconciliation looks for those that are not over.
            models.Index(
                fields=("repository", "created_at"), name="runs_not_over", condition=~models.Q(status="completed")
            ),
        )

    def __str__(self) -> str:
        return f"run {self.run_id} attempt {self.attempt}"

"""Rows of what was reported over the API and not by GitHub."""

from django.db import models

from apps.activity.models.accounts import stamp_field
from apps.activity.models.repositories import Repository


class ReportedDeployment(models.Model):
    """How a deployment that was made elsewhere stood at an instant, as its reporter says.

    `external_id` is the reporter's own; the latest report says where and what was deployed.
    """

    class State(models.TextChoices):
        SUCCESS = "success"
        FAILURE = "failure"

    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, db_index=False, related_name="+")
    external_id = models.TextField()
    finished_at = models.DateTimeField()
    state = models.TextField(choices=State.choices, db_default="", blank=True)
    environment = models.TextField(db_default="", blank=True)
    service = models.TextField(db_default="", blank=True)
    sha = models.TextField(db_default="", blank=True)
    stamp = stamp_field()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("repository", "external_id", "finished_at"), name="one_report_of_a_deployment_and_instant"
            ),
        )
        indexes = (
            # A commit that lands late gives a deployment its place on the branch.
            models.Index(fields=("repository", "sha"), name="reports_of_a_commit"),
        )

    def __str__(self) -> str:
        return f"{self.external_id} {self.state}"


class ReportedIncident(models.Model):
    """An incident as its reporter last described it; `external_id` is the reporter's own."""

    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, db_index=False, related_name="+")
    external_id = models.TextField()
    title = models.TextField(db_default="", blank=True)
    service = models.TextField(db_default="", blank=True)
    opened_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    deployment = models.TextField(db_default="", blank=True, help_text="id of the deployment that caused it")
    pull_request = models.IntegerField(null=True, blank=True, help_text="number of the pull request that caused it")
    updated_at = models.DateTimeField(null=True, blank=True)
    stamp = stamp_field()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("repository", "external_id"), name="one_row_per_reported_incident"),
        )

    def __str__(self) -> str:
        return f"{self.external_id} {self.title}".rstrip()

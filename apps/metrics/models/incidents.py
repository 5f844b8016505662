"""Derived rows of incidents, and of the deployments that caused them."""

from django.db import models
from django.db.models import F, Q

from apps.metrics.models.fields import repository_reference, rules_version_field
from apps.teams.models import DeploymentSource


class DerivedIncident(models.Model):
    """An incident: an issue that a rule names, or what was reported as one."""

    class Origin(models.TextChoices):
        ISSUE = "issue"
        REPORT = "report"

    repository = repository_reference()
    name = models.TextField(help_text="the origin, and the number of the issue or the id of the report")
    origin = models.TextField(choices=Origin.choices)
    issue_number = models.IntegerField(null=True, blank=True)
    title = models.TextField(blank=True)
    service = models.TextField(blank=True, help_text="empty for the repository itself")
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    named_deployment = models.TextField(blank=True, help_text="id of the deployment that it names as its cause")
    named_number = models.IntegerField(null=True, blank=True, help_text="pull request that it names as its cause")
    most_hours = models.IntegerField(null=True, blank=True, help_text="how old a deployment before it may be")
    rules_version = rules_version_field()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("repository", "name"), name="one_row_per_derived_incident"),
            models.CheckConstraint(condition=Q(closed_at__gte=F("opened_at")), name="an_incident_ends_after_it_began"),
        )
        indexes = (
            # incidents; and a deployment asks for those that may be its own.
            models.Index(fields=("repository", "opened_at"), name="incidents_by_repository"),
            # incident_recovery_time.
            models.Index(
                fields=("repository", "closed_at"),
                name="ended_by_repository",
                condition=Q(closed_at__isnull=False),
            ),
            # A shipment asks for the incidents that name its pull request.
            models.Index(
                fields=("repository", "named_number"),
                name="incidents_of_a_pull_request",
                condition=Q(named_number__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.title}".rstrip()


class DerivedFailure(models.Model):
    """A deployment that caused an incident, with the evidence."""

    class Kind(models.TextChoices):
        DEPLOYMENT = "deployment"
        PULL_REQUEST = "pull_request"
        PROXIMITY = "proximity"

    repository = repository_reference()
    incident = models.TextField(help_text="name of the derived incident")
    failing = models.TextField(help_text="name of the derived deployment that caused it")
    service = models.TextField(blank=True)
    environment = models.TextField(blank=True)
    source = models.TextField(choices=DeploymentSource.Kind.choices)
    is_production = models.BooleanField()
    kind = models.TextField(choices=Kind.choices)
    failing_at = models.DateTimeField()
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    rules_version = rules_version_field()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("repository", "incident", "failing"), name="one_failure_of_an_incident_and_deployment"
            ),
        )
        indexes = (
            # change_failure_rate.
            models.Index(fields=("repository", "failing"), name="failures_of_a_deployment"),
            # A deployment asks for the incidents that it may have ended.
            models.Index(fields=("repository", "service", "environment", "opened_at"), name="failures_of_a_service"),
        )

    def __str__(self) -> str:
        return f"{self.failing} caused {self.incident}"

"""Derived rows of deployments, what they shipped, and what they remedied."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q

from apps.metrics.models.fields import (
    author_class_field,
    contributor_reference,
    repository_reference,
    rules_version_field,
)
from apps.teams.models import DeploymentSource

STAGES = ("coding", "pickup", "review", "merge", "deploy")
"""The stages of a lead time, in their order."""
UNTIL_MERGE = STAGES[:-1]


class DerivedDeployment(models.Model):
    """A deployment of a service to an environment: a success with the attempts that failed before it, or a failure.

    Its group is a workflow run, or whatever else deployed; each success of it is a row of its own.
    """

    repository = repository_reference()
    name = models.TextField(help_text="the group and the number in it")
    group_key = models.TextField()
    source = models.TextField(choices=DeploymentSource.Kind.choices, default=DeploymentSource.Kind.DEPLOYMENTS)
    environment = models.TextField(blank=True)
    service = models.TextField(blank=True, default="", help_text="empty for the repository itself")
    is_production = models.BooleanField(help_text="by GitHub's flag or the name; a team may have rules of its own")
    run_id = models.BigIntegerField(null=True, blank=True)
    job_name = models.TextField(blank=True, default="")
    deployment_ids = ArrayField(models.BigIntegerField())
    last_deployment_id = models.BigIntegerField(
        help_text="or the id of the run or release, or the number of the merge, or 0"
    )
    sha = models.TextField(blank=True)
    order_at = models.DateTimeField(null=True, blank=True, help_text="arrival of the commit on the default branch")
    order_position = models.IntegerField(null=True, blank=True, help_text="position in the push of that time")
    created_at = models.DateTimeField(null=True, blank=True)
    succeeded_at = models.DateTimeField(null=True, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)
    rules_version = rules_version_field()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("repository", "name"), name="one_row_per_derived_deployment"),)
        indexes = (
            # deployments and deployment_frequency.
            models.Index(
                fields=("repository", "succeeded_at"),
                name="succeeded_by_repository",
                condition=Q(succeeded_at__isnull=False),
            ),
            # A merge asks for the first success after it, a success for its neighbours.
            models.Index(
                fields=("repository", "service", "environment", "succeeded_at", "name"),
                name="successes_of_a_service",
                include=("order_at", "order_position"),
                condition=Q(succeeded_at__isnull=False),
            ),
            # A merge asks for the services and environments that have commits of the default branch.
            models.Index(
                fields=("repository", "service", "environment"),
                name="deployed_services",
                condition=Q(order_at__isnull=False),
            ),
            # failed_deployments.
            models.Index(
                fields=("repository", "failed_at"),
                name="failed_by_repository",
                condition=Q(failed_at__isnull=False),
            ),
            # The recalculation replaces the deployments of a group.
            models.Index(fields=("repository", "group_key"), name="derived_deployments_of_one"),
            # A job that deploys beside another one is a service, with what it deployed before.
            models.Index(
                fields=("repository", "environment", "job_name"), name="deployed_by_job", condition=~Q(job_name="")
            ),
            # A run id learned late moves a deployment: which group held it before?
            GinIndex(fields=("deployment_ids",), name="group_of_a_deployment"),
        )

    def __str__(self) -> str:
        return f"{self.environment} {self.name}".lstrip()


class DerivedShipment(models.Model):
    """The first deployment of a service to an environment that had a merged pull request."""

    repository = repository_reference()
    number = models.IntegerField()
    service = models.TextField(blank=True)
    environment = models.TextField(blank=True)
    source = models.TextField(choices=DeploymentSource.Kind.choices)
    is_production = models.BooleanField()
    deployment = models.TextField(help_text="name of the derived deployment")
    author = contributor_reference()
    author_class = author_class_field()
    attributed_to = contributor_reference()
    is_bot_author = models.BooleanField()
    merged_at = models.DateTimeField()
    landed_at = models.DateTimeField()
    deployed_at = models.DateTimeField()
    is_order_unknown = models.BooleanField(
        help_text="an earlier deployment may have had it: its commit is not known on the default branch"
    )
    lead_seconds = models.BigIntegerField(null=True, blank=True)
    coding_seconds = models.BigIntegerField(null=True, blank=True)
    pickup_seconds = models.BigIntegerField(null=True, blank=True)
    review_seconds = models.BigIntegerField(null=True, blank=True)
    merge_seconds = models.BigIntegerField(null=True, blank=True)
    deploy_seconds = models.BigIntegerField(null=True, blank=True)
    reverts_number = models.IntegerField(null=True, blank=True)
    is_hotfix = models.BooleanField()
    rules_version = rules_version_field()

    class Meta:
        constraints = (
            # lead_time asks for an earlier shipment of each, and reads no table for it.
            models.UniqueConstraint(
                fields=("repository", "number", "service", "environment"),
                name="one_shipment_per_environment",
                include=("id", "source", "is_production", "deployed_at"),
            ),
            models.CheckConstraint(
                condition=Q(**{f"{stage}_seconds__gte": 0 for stage in STAGES}),
                name="a_stage_is_never_negative",
            ),
            models.CheckConstraint(
                condition=Q(
                    lead_seconds=sum((F(f"{stage}_seconds") for stage in STAGES[1:]), F(f"{STAGES[0]}_seconds"))
                ),
                name="stages_sum_to_the_lead_time",
            ),
        )
        indexes = (
            # lead_time.
            models.Index(
                fields=("repository", "deployed_at"),
                name="shipped_by_repository",
                include=(
                    *("id", "number", "environment", "source", "is_production"),
                    *("author", "is_bot_author", "author_class", "attributed_to", "lead_seconds", "deploy_seconds"),
                ),
            ),
            # The recalculation asks what a deployment shipped.
            models.Index(fields=("repository", "deployment"), name="shipments_of_a_deployment"),
            # The recalculation asks what reverts a pull request.
            models.Index(
                fields=("repository", "reverts_number"),
                name="shipments_of_reverts",
                condition=Q(reverts_number__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.repository_id}#{self.number} in {self.deployment}"


class DerivedRemediation(models.Model):
    """A deployment that undid or repaired an earlier one of its service and environment."""

    class Kind(models.TextChoices):
        REVERT = "revert"
        ROLLBACK = "rollback"
        HOTFIX = "hotfix"
        INCIDENT = "incident"

    repository = repository_reference()
    remediation = models.TextField(help_text="name of the derived deployment that remedied")
    failing = models.TextField(help_text="name of the derived deployment that was remedied")
    service = models.TextField(blank=True)
    environment = models.TextField(blank=True)
    source = models.TextField(choices=DeploymentSource.Kind.choices)
    is_production = models.BooleanField()
    kind = models.TextField(choices=Kind.choices)
    evidence = models.TextField()
    failing_at = models.DateTimeField()
    remediated_at = models.DateTimeField()
    incident_closed_at = models.DateTimeField(
        null=True, blank=True, help_text="of an incident, whose end shows what ended it"
    )
    rules_version = rules_version_field()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("repository", "remediation", "failing"), name="one_remediation_of_a_failing_deployment"
            ),
            models.CheckConstraint(
                condition=Q(remediated_at__gte=F("failing_at")), name="remediated_after_it_was_deployed"
            ),
        )
        indexes = (
            # change_failure_rate.
            models.Index(fields=("repository", "failing"), name="remediations_of_a_deployment"),
            # failed_deployment_recovery_time.
            models.Index(fields=("repository", "remediated_at"), name="remediated_by_repository"),
        )

    def __str__(self) -> str:
        return f"{self.remediation} remedies {self.failing}"

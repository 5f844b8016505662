"""Derived rows: one per pull request, closing, review, deployment and landed commit.

Rows are written by the recalculation alone and may be thrown away and rebuilt at any time. They point at facts without
foreign key constraints: a rebuild must not pay for checks of what it has just read.
"""

from typing import TYPE_CHECKING, Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex, GinIndex
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Cast, Coalesce

from apps.activity.models import Contributor, Repository, Review
from apps.teams.models import AccountRule, DeploymentSource, Team

if TYPE_CHECKING:
    Reference = models.ForeignKey[Any, Any]

RULES_VERSION = 6
"""Raise it with every change of a definition: rows of an older version are derived anew."""


def repository_reference() -> "Reference":
    """Return a reference to a repository without an index, because every index starts with it."""
    return models.ForeignKey(
        Repository, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )


def contributor_reference() -> "Reference":
    """Return a reference to a contributor; null if the account was deleted or is unknown."""
    return models.ForeignKey(
        Contributor,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        blank=True,
        related_name="+",
    )


def current_rules() -> int:
    return RULES_VERSION


ENDED_AT = Coalesce("closed_at", Cast(Value("infinity"), models.DateTimeField()))
"""The end of a pull request, as far in the future as can be while it is open: one range of an index."""


def rules_version_field() -> "models.SmallIntegerField[int, int]":
    return models.SmallIntegerField(default=current_rules, editable=False)


class DerivedPullRequest(models.Model):
    """The times and durations of a pull request."""

    repository = repository_reference()
    number = models.IntegerField()
    author = contributor_reference()
    author_class = models.TextField(choices=AccountRule.AccountClass.choices, db_default=AccountRule.AccountClass.HUMAN)
    is_bot_author = models.BooleanField(help_text="whether an agent or another bot opened it")

    opened_at = models.DateTimeField()
    is_opened_as_draft = models.BooleanField()
    ready_at = models.DateTimeField(null=True, blank=True)
    first_commit_at = models.DateTimeField(null=True, blank=True)
    is_first_commit_adjusted = models.BooleanField()
    first_review_at = models.DateTimeField(null=True, blank=True)
    first_approval_at = models.DateTimeField(null=True, blank=True)
    review_wait_ended_at = models.DateTimeField(null=True, blank=True)
    merged_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    # The intervals spent as a draft; the end of the last one is null while it lasts.
    draft_starts = ArrayField(models.DateTimeField())
    draft_ends = ArrayField(models.DateTimeField(null=True))
    is_draft = models.BooleanField()

    cycle_seconds = models.BigIntegerField(null=True, blank=True)
    first_review_seconds = models.BigIntegerField(null=True, blank=True)
    size = models.BigIntegerField(null=True, blank=True)
    review_rounds = models.IntegerField(
        null=True, blank=True, help_text="empty if the pushes after a review are unknown"
    )
    is_reviewed_in_draft = models.BooleanField()
    is_reopened = models.BooleanField()
    is_force_pushed = models.BooleanField()
    merge_sha = models.TextField(null=True, blank=True)  # noqa: DJ001  null until merged
    landed_at = models.DateTimeField(null=True, blank=True, help_text="arrival of the merge on the default branch")
    coding_seconds = models.BigIntegerField(null=True, blank=True)
    pickup_seconds = models.BigIntegerField(null=True, blank=True)
    review_seconds = models.BigIntegerField(null=True, blank=True)
    merge_seconds = models.BigIntegerField(null=True, blank=True)
    rules_version = rules_version_field()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("repository", "number"), name="one_derived_row_per_pull_request"),
            models.CheckConstraint(condition=Q(cycle_seconds__gte=0), name="cycle_time_is_never_negative"),
            models.CheckConstraint(condition=Q(first_review_seconds__gte=0), name="review_wait_is_never_negative"),
            models.CheckConstraint(
                condition=Q(coding_seconds__gte=0, pickup_seconds__gte=0, review_seconds__gte=0, merge_seconds__gte=0),
                name="a_stage_before_the_merge_is_never_negative",
            ),
        )
        indexes = (
            # prs_merged, cycle_time, pr_size, review_rounds and review_coverage; here and below, a figure reads no
            # table for the columns that the index has.
            models.Index(
                fields=("repository", "merged_at"),
                name="merged_by_repository",
                condition=Q(merged_at__isnull=False),
                include=(
                    *("author", "is_bot_author", "cycle_seconds", "size", "first_review_at", "review_rounds"),
                    *("coding_seconds", "pickup_seconds", "review_seconds", "merge_seconds"),
                ),
            ),
            # prs_opened and time_in_draft.
            models.Index(fields=("repository", "opened_at"), name="opened_by_repository"),
            # time_to_first_review.
            models.Index(
                fields=("repository", "review_wait_ended_at"),
                name="review_waits_by_repository",
                condition=Q(review_wait_ended_at__isnull=False),
                include=("author", "is_bot_author", "first_review_seconds", "is_reviewed_in_draft"),
            ),
            # wip and age: what was open at an instant had been opened by then, and ended later, or not at all.
            models.Index("repository", ENDED_AT, "opened_at", name="open_by_repository"),
            # A deployment asks for the merges between its neighbours.
            models.Index(
                fields=("repository", "landed_at"), name="landed_by_repository", condition=Q(landed_at__isnull=False)
            ),
        )

    def __str__(self) -> str:
        return f"{self.repository_id}#{self.number}"


class DerivedClosing(models.Model):
    """A period in which a pull request was closed without being merged."""

    repository = repository_reference()
    number = models.IntegerField()
    author = contributor_reference()
    is_bot_author = models.BooleanField()
    closed_at = models.DateTimeField()
    reopened_at = models.DateTimeField(null=True, blank=True)
    rules_version = rules_version_field()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("repository", "number", "closed_at"), name="one_row_per_closing"),
            models.CheckConstraint(
                condition=Q(reopened_at__gte=models.F("closed_at")), name="reopened_after_it_was_closed"
            ),
        )
        # closed_unmerged.
        indexes = (models.Index(fields=("repository", "closed_at"), name="closings_by_repository"),)

    def __str__(self) -> str:
        return f"{self.repository_id}#{self.number} closed"


class DerivedReview(models.Model):
    """A submitted review and whether it qualifies: by a human other than the author of the pull request."""

    review = models.OneToOneField(
        Review, on_delete=models.DO_NOTHING, db_constraint=False, primary_key=True, related_name="+"
    )
    repository = repository_reference()
    number = models.IntegerField()
    reviewer = contributor_reference()
    submitted_at = models.DateTimeField()
    verdict = models.TextField(null=True, blank=True)  # noqa: DJ001  unknown once dismissed
    is_by_bot = models.BooleanField()
    is_by_author = models.BooleanField()
    rules_version = rules_version_field()

    class Meta:
        indexes = (
            # reviews.
            models.Index(
                fields=("repository", "submitted_at"),
                name="submitted_by_repository",
                include=("reviewer", "is_by_bot", "is_by_author"),
            ),
            # The recalculation replaces the reviews of a pull request.
            models.Index(fields=("repository", "number"), name="derived_reviews_of_one"),
        )

    def __str__(self) -> str:
        return f"review {self.review_id}"


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
    last_deployment_id = models.BigIntegerField(help_text="or the id of the run or release, or the number of the merge")
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
            models.UniqueConstraint(
                fields=("repository", "number", "service", "environment"), name="one_shipment_per_environment"
            ),
            models.CheckConstraint(
                condition=Q(
                    coding_seconds__gte=0,
                    pickup_seconds__gte=0,
                    review_seconds__gte=0,
                    merge_seconds__gte=0,
                    deploy_seconds__gte=0,
                ),
                name="a_stage_is_never_negative",
            ),
            models.CheckConstraint(
                condition=Q(
                    lead_seconds=models.F("coding_seconds")
                    + models.F("pickup_seconds")
                    + models.F("review_seconds")
                    + models.F("merge_seconds")
                    + models.F("deploy_seconds")
                ),
                name="stages_sum_to_the_lead_time",
            ),
        )
        indexes = (
            # lead_time.
            models.Index(fields=("repository", "deployed_at"), name="shipped_by_repository"),
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
    rules_version = rules_version_field()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("repository", "remediation", "failing"), name="one_remediation_of_a_failing_deployment"
            ),
            models.CheckConstraint(
                condition=Q(remediated_at__gte=models.F("failing_at")), name="remediated_after_it_was_deployed"
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


class DerivedCommit(models.Model):
    """A commit on the default branch, with its author resolved."""

    repository = repository_reference()
    sha = models.TextField()
    author = contributor_reference()
    author_login = models.TextField(blank=True)
    is_by_bot = models.BooleanField()
    is_merge = models.BooleanField(null=True)
    landed_at = models.DateTimeField()
    rules_version = rules_version_field()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("repository", "sha"), name="one_derived_row_per_commit"),)
        indexes = (
            # commits.
            models.Index(
                fields=("repository", "landed_at"),
                name="commits_by_repository",
                include=("author", "is_by_bot", "is_merge"),
            ),
            # A renamed account loses the commits that only its login named.
            models.Index(fields=("author",), name="commits_of_an_author", condition=Q(author__isnull=False)),
        )

    def __str__(self) -> str:
        return self.sha[:7]


class HourlyFigures(models.Model):
    """A team's figures of the last 30 days as they were in one hour; later data does not change them."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, db_index=False, related_name="hourly_figures")
    hour = models.DateTimeField(help_text="full hour (UTC) of the computation")
    computed_at = models.DateTimeField()
    complete_until = models.DateTimeField(null=True, blank=True, help_text="empty if unverified")
    figures = models.JSONField(help_text="value and number of entities by the key of the figure")

    class Meta:
        verbose_name_plural = "hourly figures"
        constraints = (models.UniqueConstraint(fields=("team", "hour"), name="one_row_of_figures_per_team_and_hour"),)
        # hourly.thin_out: rows of any team that are old enough
        indexes = (BrinIndex(fields=("hour",), name="hourly_figures_by_hour", autosummarize=True),)

    def __str__(self) -> str:
        return f"{self.team} in the hour of {self.hour:%Y-%m-%d %H:%M}"


class RepositoryFreshness(models.Model):
    """How often derived rows of a repository were stored: a number that grows with each change of its figures."""

    repository = models.OneToOneField(
        Repository, on_delete=models.DO_NOTHING, db_constraint=False, primary_key=True, related_name="+"
    )
    version = models.BigIntegerField()
    changed_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "repository freshness"

    def __str__(self) -> str:
        return f"{self.repository_id} at {self.changed_at:%Y-%m-%d %H:%M:%S}"


class TeamFreshness(models.Model):
    """The last change of the settings (members, zone, repositories, rules) that a team's figures depend on."""

    team = models.OneToOneField(Team, on_delete=models.CASCADE, primary_key=True, related_name="freshness")
    changed_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "team freshness"

    def __str__(self) -> str:
        return f"{self.team} at {self.changed_at:%Y-%m-%d %H:%M:%S}"

"""Changes, provenance of facts, and coverage of streams."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from apps.activity.models.repositories import Repository


class Change(models.Model):
    """Something that figures are derived from has changed: append-only, drained by the recalculation.

    There is no unique key, so recording never waits and no mark is lost between a read and a delete.
    """

    class Kind(models.TextChoices):
        PULL_REQUEST = "pull_request"  # key: repository id, colon, number; ":alone" after it: nothing else comes along
        BRANCH = "branch"  # key: repository id, colon, ref: a push may belong to pull requests
        COMMIT = "commit"  # key: repository id, colon, SHA
        DEPLOYMENT = "deployment"  # key: deployment id
        WORKFLOW_RUN = "workflow_run"  # key: repository id, colon, run id: which may also be a deployment
        RELEASE = "release"  # key: repository id, colon, release id: it may be a deployment
        REPORTED_DEPLOYMENT = "reported_deployment"  # key: repository id, colon, id of its reporter
        ISSUE = "issue"  # key: repository id, colon, number: it may be an incident
        REPORTED_INCIDENT = "reported_incident"  # key: repository id, colon, id of its reporter
        INCIDENT = "incident"  # key: repository id, colon, name of a derived incident: which deployment caused it?
        INCIDENT_RULES = "incident_rules"  # key: as of deployment rules
        DEPLOYMENT_RULES = "deployment_rules"  # key: `repository:` or `account:` and an id; empty for all repositories
        REMEDIATION = "remediation"  # key: repository id, colon, name of a derived deployment: what did it remedy?
        CONTRIBUTOR = "contributor"  # key: account id: its kind decides who counts as a bot
        INSTALLATION = "installation"  # key: installation id: its account gets a team
        GITHUB_TEAM = "github_team"  # key: id of a team on GitHub: a team here may be kept in step with it
        TEAM = "team"  # key: team id: members, time zone, repositories or rules

    kind = models.TextField(choices=Kind.choices)
    key = models.TextField()
    recorded_at = models.DateTimeField(db_default=Now())  # in the future: it failed alone and is set aside until then

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class Provenance(models.Model):
    """The delivery or API read that reported an entity; not part of any comparison of facts."""

    entity = models.TextField()
    key = models.TextField()
    source = models.TextField()
    source_key = models.TextField()

    class Meta:
        verbose_name_plural = "provenance"
        constraints = (
            models.UniqueConstraint(
                fields=("entity", "key", "source", "source_key"), name="one_row_per_entity_and_source"
            ),
        )

    def __str__(self) -> str:
        return f"{self.entity} {self.key} from {self.source} {self.source_key}"


class Coverage(models.Model):
    """Between two instants, everything GitHub had of a stream in a repository is here.

    Without a repository: whatever GitHub's log of deliveries held of that time is in the inbox.
    """

    DELIVERIES: ClassVar = "deliveries"
    """The stream of the rows without a repository."""

    repository = models.ForeignKey(
        Repository, on_delete=models.CASCADE, null=True, blank=True, db_index=False, related_name="+"
    )
    stream = models.TextField()
    from_at = models.DateTimeField()
    to_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "coverage"
        constraints = (
            models.CheckConstraint(condition=models.Q(from_at__lte=models.F("to_at")), name="coverage_runs_forwards"),
            models.CheckConstraint(
                condition=models.Q(repository=None, stream="deliveries")
                | models.Q(repository__isnull=False) & ~models.Q(stream="deliveries"),
                name="coverage_is_of_a_repository_or_of_the_log_of_deliveries",
            ),
        )
        indexes = (models.Index(fields=("repository", "stream", "to_at"), name="coverage_of_a_stream"),)

    def __str__(self) -> str:
        return f"{self.stream} of {self.repository_id or 'every repository'}"

"""Rules about accounts, services, hotfixes, incidents and sources of deployments."""

import re
from typing import ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.activity.models import Change, Contributor, Repository
from apps.teams.models.teams import MarksChange, Team


class AccountRule(MarksChange):
    """The class of an account where GitHub's type and the lists of robots and agents are wrong; for the instance."""

    class AccountClass(models.TextChoices):
        HUMAN = "human"
        AGENT = "agent"
        BOT = "bot"

    contributor = models.OneToOneField(Contributor, on_delete=models.PROTECT, related_name="account_rule")
    account_class = models.TextField(choices=AccountClass.choices)

    def __str__(self) -> str:
        return f"{self.contributor} counts as {self.account_class}"

    def change(self) -> tuple[Change.Kind, str]:
        return Change.Kind.CONTRIBUTOR, str(self.contributor_id)


def validate_expression(text: str) -> None:
    """Reject a text that is not a regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        raise ValidationError(_("This is not a regular expression: %(error)s."), params={"error": error}) from None


class DeploymentRule(MarksChange):
    """A rule about the deployments of a repository, of all repositories of an account, or of all."""

    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    account = models.ForeignKey(
        Contributor,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="All repositories of this account. Without a repository and an account: all repositories.",
    )
    pattern = models.CharField(
        max_length=500,
        blank=True,
        validators=[validate_expression],
        help_text="A regular expression, in any case, found anywhere in the name. Empty: every name.",
    )

    concerns: ClassVar = Change.Kind.DEPLOYMENT_RULES

    class Meta:
        abstract = True

    def change(self) -> tuple[Change.Kind, str]:
        if self.repository_id is not None:
            return self.concerns, f"repository:{self.repository_id}"
        return self.concerns, "" if self.account_id is None else f"account:{self.account_id}"


class ServiceRule(DeploymentRule):
    """The service that a deployment belongs to; without a rule that matches, it is the repository."""

    class Field(models.TextChoices):
        ENVIRONMENT = "environment"
        WORKFLOW = "workflow"
        TASK = "task"
        JOB = "job"

    field = models.CharField(max_length=20, choices=Field.choices, default=Field.ENVIRONMENT)
    service = models.CharField(
        max_length=200, help_text=r"The name of the service; \1 stands for the first group of the pattern."
    )

    def __str__(self) -> str:
        return f"{self.field} {self.pattern} is {self.service}"

    def clean(self) -> None:
        """Reject a service that refers to a group which the pattern does not have."""
        try:
            pattern = re.compile(self.pattern)
        except re.error:
            return  # its own validator says so
        try:
            pattern.sub(self.service, "")
        except (re.error, IndexError) as error:
            words = _("It refers to a group that the pattern does not have: %(error)s.")
            raise ValidationError({"service": ValidationError(words, params={"error": error})}) from None


class HotfixRule(DeploymentRule):
    """What makes a merged pull request a hotfix; without any, it is a branch or a label of that name."""

    class Field(models.TextChoices):
        BRANCH = "branch"
        LABEL = "label"
        TITLE = "title"

    field = models.CharField(max_length=20, choices=Field.choices, default=Field.BRANCH)

    def __str__(self) -> str:
        return f"{self.field} {self.pattern}".rstrip()


class DeploymentSource(DeploymentRule):
    """What counts as a deployment of a repository; without any, it is GitHub's deployments and those reported here.

    A workflow run, release or merge that counts is a deployment to production.
    """

    class Kind(models.TextChoices):
        DEPLOYMENTS = "deployments"
        WORKFLOW_RUNS = "workflow_runs"
        RELEASES = "releases"
        MERGES = "merges"
        REPORTS = "reports"

    kind = models.CharField(
        max_length=20,
        choices=Kind.choices,
        help_text="The pattern is that of the environment, the workflow's name, the release's tag, or the branch.",
    )

    def __str__(self) -> str:
        return f"{self.kind} {self.pattern}".rstrip()

    @classmethod
    def ensure(cls, team: Team, *, kind: str, pattern: str) -> "DeploymentSource":
        """Let runs, releases or merges of this name count as deployments of the team's account.

        ValidationError if the pattern is none, or the team tracks no account.
        """
        if team.account_id is None:
            raise ValidationError(f"{team} tracks no account: add a rule for its repositories in the admin.")
        rule = cls(account_id=team.account_id, kind=kind, pattern=pattern)
        rule.full_clean()
        known = cls.objects.filter(account_id=team.account_id, kind=kind, pattern=pattern, repository=None)
        existing: DeploymentSource | None = known.first()
        if existing is None:
            rule.save()
        return existing or rule


class IncidentRule(DeploymentRule):
    """What makes an issue an incident, and how long after a deployment an incident may be attributed to it.

    Reported incidents are incidents without any rule; for them only the hours matter.
    """

    class Field(models.TextChoices):
        LABEL = "label"
        TITLE = "title"
        REPORT = "report"

    concerns: ClassVar = Change.Kind.INCIDENT_RULES
    field = models.CharField(
        max_length=20,
        choices=Field.choices,
        default=Field.LABEL,
        help_text="What the pattern is of: a label or the title of an issue, or the title of a reported incident.",
    )
    most_hours = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="An incident that names no cause is attributed to the last deployment of its service in so many "
        "hours before. Empty: to none.",
    )

    def __str__(self) -> str:
        return f"{self.field} {self.pattern}".rstrip()

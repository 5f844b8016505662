"""Rows of accounts, installations and memberships."""

from django.db import models
from django.db.models.functions import Lower

STAMP = "C"
"""Stamps are compared byte by byte, whatever the database's own collation."""


def stamp_field() -> "models.TextField[str, str]":
    """The order tuple of one field group; empty while no snapshot of it was recorded."""
    return models.TextField(db_default="", blank=True, editable=False, db_collation=STAMP)


class Contributor(models.Model):
    """A GitHub account: a person, a bot, an organisation, or a mannequin left by an import."""

    class Kind(models.TextChoices):
        USER = "user"
        BOT = "bot"
        ORGANIZATION = "organization"
        MANNEQUIN = "mannequin"

    github_id = models.BigIntegerField(primary_key=True)
    login = models.TextField(db_default="", blank=True)
    kind = models.TextField(db_default="", blank=True, choices=Kind.choices)
    stamp = stamp_field()

    class Meta:
        indexes = (models.Index(Lower("login"), name="contributor_by_login"),)

    def __str__(self) -> str:
        return self.login or f"account {self.github_id}"


class Installation(models.Model):
    """The GitHub App on an account."""

    github_id = models.BigIntegerField(primary_key=True)
    account = models.ForeignKey(Contributor, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    app_id = models.BigIntegerField(null=True, blank=True)
    repository_selection = models.TextField(null=True, blank=True)  # noqa: DJ001  unknown until a full snapshot
    permissions = models.JSONField(null=True, blank=True)
    events = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField(null=True, blank=True)
    stamp = stamp_field()
    suspended_at = models.DateTimeField(null=True, blank=True)
    is_suspension_verified = models.BooleanField(db_default=True)
    suspension_stamp = stamp_field()
    last_suspended_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    needs_listing_at = models.DateTimeField(null=True, blank=True)
    listed_at = models.DateTimeField(null=True, blank=True)
    teams_listed_at = models.DateTimeField(
        null=True, blank=True, help_text="when the teams of its account, with their members, were last read"
    )

    def __str__(self) -> str:
        return f"installation {self.github_id}"


class RepositoryAccess(models.Model):
    """The access of an installation to a repository."""

    installation = models.ForeignKey(Installation, on_delete=models.PROTECT, db_index=False, related_name="accesses")
    repository = models.ForeignKey("Repository", on_delete=models.PROTECT, related_name="accesses")
    has_access = models.BooleanField(db_default=False)
    is_verified = models.BooleanField(db_default=False)
    stamp = stamp_field()
    lost_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "repository access"
        constraints = (
            models.UniqueConstraint(
                fields=("installation", "repository"), name="one_access_row_per_installation_and_repository"
            ),
        )

    def __str__(self) -> str:
        return f"installation {self.installation_id} on repository {self.repository_id}"


class GitHubTeam(models.Model):
    """A team of an organisation on GitHub."""

    github_id = models.BigIntegerField(primary_key=True)
    organization = models.ForeignKey(Contributor, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    slug = models.TextField(db_default="", blank=True)
    name = models.TextField(db_default="", blank=True)
    is_deleted = models.BooleanField(db_default=False)
    is_verified = models.BooleanField(db_default=False)
    stamp = stamp_field()
    first_read_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="when its members were read by the account's first listing, which cannot say since when they are",
    )

    class Meta:
        verbose_name = "GitHub team"

    def __str__(self) -> str:
        return self.name or f"GitHub team {self.github_id}"


class GitHubMembership(models.Model):
    """The membership of an account in an organisation, a team or a repository on GitHub."""

    class Scope(models.TextChoices):
        ORGANIZATION = "organization"
        TEAM = "team"
        REPOSITORY = "repository"

    scope = models.TextField(choices=Scope.choices)
    scope_id = models.BigIntegerField()
    contributor = models.ForeignKey(Contributor, on_delete=models.PROTECT, related_name="+")
    is_member = models.BooleanField(db_default=False)
    role = models.TextField(null=True, blank=True)  # noqa: DJ001  most events do not name a role
    is_verified = models.BooleanField(db_default=False)
    stamp = stamp_field()

    class Meta:
        verbose_name = "GitHub membership"
        constraints = (
            models.UniqueConstraint(
                fields=("scope", "scope_id", "contributor"), name="one_membership_per_scope_and_account"
            ),
        )

    def __str__(self) -> str:
        return f"account {self.contributor_id} in {self.scope} {self.scope_id}"


class GitHubTeamEvent(models.Model):
    """An account that joined a team on GitHub, or left it, when GitHub reported it."""

    team_id = models.BigIntegerField()
    contributor = models.ForeignKey(Contributor, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    is_member = models.BooleanField()

    class Meta:
        verbose_name = "GitHub team event"
        constraints = (
            models.UniqueConstraint(
                fields=("team_id", "contributor", "at", "is_member"), name="an_event_of_a_github_team_happened_once"
            ),
        )

    def __str__(self) -> str:
        return f"account {self.contributor_id} {'joined' if self.is_member else 'left'} team {self.team_id}"

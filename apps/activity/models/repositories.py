"""Rows of repositories, their refs, pushes, commits and releases."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Lower

from apps.activity.models.accounts import Contributor, stamp_field
from apps.common.db import is_id


class Repository(models.Model):
    """A repository: the id is its identity, `full_name` a label that may change."""

    github_id = models.BigIntegerField(primary_key=True)
    full_name = models.TextField(db_default="", blank=True)
    owner = models.ForeignKey(Contributor, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    default_branch = models.TextField(null=True, blank=True)  # noqa: DJ001  unknown until a full snapshot
    is_private = models.BooleanField(null=True)
    is_archived = models.BooleanField(db_default=False)
    is_fork = models.BooleanField(db_default=False)
    created_at = models.DateTimeField(null=True, blank=True)
    pushed_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    stamp = stamp_field()

    class Meta:
        verbose_name_plural = "repositories"
        indexes = (models.Index(Lower("full_name"), name="repository_by_name"),)

    def __str__(self) -> str:
        return self.full_name or f"repository {self.github_id}"

    @staticmethod
    def with_id_or_name(text: str) -> models.Q:
        """Return the condition that a repository has this id, or this name in any case."""
        return models.Q(pk=int(text)) if is_id(text) else models.Q(full_name__iexact=text)


class GitReference(models.Model):
    """A branch or tag, and whether it still exists."""

    class Kind(models.TextChoices):
        BRANCH = "branch"
        TAG = "tag"

    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, db_index=False, related_name="+")
    kind = models.TextField(choices=Kind.choices)
    name = models.TextField()
    is_deleted = models.BooleanField(db_default=False)
    is_verified = models.BooleanField(db_default=False)
    stamp = stamp_field()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("repository", "kind", "name"), name="one_row_per_git_reference"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Push(models.Model):
    """A ref moved from one commit to another."""

    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, db_index=False, related_name="+")
    ref = models.TextField()
    before_sha = models.TextField()
    after_sha = models.TextField()
    pushed_at = models.DateTimeField()
    commit_shas = ArrayField(models.TextField(), default=list)
    distinct_shas = ArrayField(models.TextField(), default=list)
    is_default_branch = models.SmallIntegerField(db_default=0)
    is_forced = models.SmallIntegerField(db_default=0)
    is_incomplete = models.SmallIntegerField(db_default=0)

    class Meta:
        verbose_name_plural = "pushes"
        constraints = (
            # In this order it also finds the push that brought a ref to a commit: chains are followed backwards.
            models.UniqueConstraint(
                fields=("repository", "ref", "after_sha", "before_sha"), name="one_push_between_two_commits"
            ),
        )
        indexes = (
            # A commit that is reported again looks up the branches that brought it.
            GinIndex(fields=("commit_shas",), name="pushes_of_a_commit"),
        )

    def __str__(self) -> str:
        return f"{self.ref} to {self.after_sha[:7]}"


class Commit(models.Model):
    """A commit seen in a push or through the API.

    `landed_at` is its arrival on the default branch. Where only the history has it, it is presumed to
    have arrived by its committer's date: `presumed_landed_at`, which counts while `landed_at` is null.

    `parent_count` is what the API shows. A push shows no parents: it lets presume `presumed_parent_count`, which counts
    while `parent_count` is null.
    """

    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, db_index=False, related_name="+")
    sha = models.TextField()
    headline = models.TextField(db_default="", blank=True)
    authored_at = models.DateTimeField(null=True, blank=True)
    committed_at = models.DateTimeField(null=True, blank=True)
    author_name = models.TextField(db_default="", blank=True)
    author_email = models.TextField(db_default="", blank=True)
    author_login = models.TextField(db_default="", blank=True)
    is_date_clamped = models.BooleanField(db_default=False)
    stamp = stamp_field()
    parent_count = models.SmallIntegerField(null=True, blank=True)
    presumed_parent_count = models.SmallIntegerField(null=True, blank=True)
    author = models.ForeignKey(Contributor, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    landed_at = models.DateTimeField(null=True, blank=True)
    presumed_landed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("repository", "sha"), name="one_row_per_commit"),)
        indexes = (
            # An account that becomes known, or takes another login, asks for the commits that only a login names.
            models.Index(Lower("author_login"), name="commit_by_author_login"),
            # A copy of a commit has its author date: a pull request asks whether a commit of it landed before.
            models.Index(fields=("repository", "authored_at"), name="commit_by_author_date"),
        )

    def __str__(self) -> str:
        return f"{self.sha[:7]} {self.headline}"


class CommitTrailer(models.Model):
    """A line of a commit's message that names who or what took part in it."""

    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, related_name="+", db_index=False)
    sha = models.TextField()
    token = models.TextField()
    value = models.TextField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("repository", "sha", "token", "value"), name="one_row_per_trailer_of_a_commit"
            ),
        )

    def __str__(self) -> str:
        return f"{self.token}: {self.value}"


class Release(models.Model):
    """A release of a repository."""

    github_id = models.BigIntegerField(primary_key=True)
    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, related_name="+")
    tag_name = models.TextField(db_default="", blank=True)
    name = models.TextField(db_default="", blank=True)
    is_draft = models.BooleanField(db_default=False)
    is_prerelease = models.BooleanField(db_default=False)
    author = models.ForeignKey(Contributor, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(null=True, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    stamp = stamp_field()

    def __str__(self) -> str:
        return self.tag_name

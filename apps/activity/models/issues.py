"""Rows of issues and the comments on issues and pull requests."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.activity.models.accounts import Contributor, stamp_field
from apps.activity.models.repositories import Repository


class Issue(models.Model):
    """An issue; it shares its numbers with the pull requests of the repository."""

    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, related_name="+")
    number = models.IntegerField()
    github_id = models.BigIntegerField(null=True, blank=True)
    title = models.TextField(db_default="", blank=True)
    state = models.TextField(db_default="", blank=True)
    state_reason = models.TextField(null=True, blank=True)  # noqa: DJ001  null is GitHub's word for no reason
    author = models.ForeignKey(Contributor, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    labels = ArrayField(models.TextField(), null=True, blank=True)
    created_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    stamp = stamp_field()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("repository", "number"), name="one_issue_per_number"),)

    def __str__(self) -> str:
        return f"{self.repository_id}#{self.number} {self.title}"


class IssueComment(models.Model):
    """A comment on an issue or, outside any diff, on a pull request."""

    github_id = models.BigIntegerField(primary_key=True)
    repository = models.ForeignKey(Repository, on_delete=models.PROTECT, related_name="+")
    number = models.IntegerField()
    is_on_pull_request = models.BooleanField(null=True)
    author = models.ForeignKey(Contributor, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    stamp = stamp_field()

    class Meta:
        indexes = (models.Index(fields=("repository", "number"), name="comments_of_one"),)

    def __str__(self) -> str:
        return f"comment {self.github_id}"

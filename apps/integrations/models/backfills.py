"""How far the history of each repository has been read, stream by stream."""

from typing import Any, ClassVar

from django.db import models

from apps.activity.models import Repository
from apps.jobs.models import Job, JobQuerySet
from apps.teams.visibility import repositories_visible_to


class BackfillQuerySet(JobQuerySet["Backfill"]):
    """Every change of state is one guarded UPDATE; the row count says whether it happened."""

    def visible_to(self, user: Any) -> "BackfillQuerySet":
        """Return those of the repositories that the user may see."""
        return self.filter(repository__in=repositories_visible_to(user).order_by().values("pk"))


class Backfill(Job):
    """The job that reads one stream of a repository's history. Its cursor and the facts of a page commit together."""

    KIND: ClassVar = "read_stream"

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="backfills")
    stream = models.TextField(help_text="as apps.integrations.streams names it")
    sync = models.ForeignKey(
        "RepositorySync",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="walks",
        help_text="the reconciliation that it is a part of; its drift is counted there",
    )
    since = models.DateTimeField(null=True, blank=True, help_text="only what was updated since; empty for everything")
    until = models.DateTimeField(null=True, blank=True, help_text="nothing that was created later")

    objects = BackfillQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        indexes: ClassVar = [
            # those of one repository, newest first
            models.Index(fields=["repository", "-job_ptr"], name="backfill_of_repository"),
        ]

    def __str__(self) -> str:
        return f"{self.stream} of {self.repository}"

"""Single entities that reconciliation found to differ from GitHub, and its search for deletions."""

from typing import Any, ClassVar

from django.db import models

from apps.integrations.models.syncs import RepositorySync
from apps.teams.visibility import repositories_visible_to


class DriftedEntityQuerySet(models.QuerySet["DriftedEntity"]):
    """Entities that had drifted."""

    def visible_to(self, user: Any) -> "DriftedEntityQuerySet":
        """Return those of the repositories that the user may see."""
        return self.filter(repository_sync__repository__in=repositories_visible_to(user).order_by().values("pk"))


class DriftedEntity(models.Model):
    """An entity that a run found to differ from GitHub: it counts once in the run, however often it is read."""

    class Finding(models.TextChoices):
        MISSING = "missing"
        STALE = "stale"
        DELETED = "deleted"  # we had it, and GitHub has it no more

    repository_sync = models.ForeignKey(RepositorySync, on_delete=models.CASCADE, related_name="drifted")
    stream = models.TextField()
    entity = models.TextField(help_text="its kind, as in its provenance")
    key = models.TextField(help_text="GitHub's id, or what names it within its repository")
    finding = models.TextField(choices=Finding.choices)

    objects = DriftedEntityQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name_plural = "drifted entities"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["repository_sync", "entity", "key"], name="an_entity_drifted_once_in_a_sync"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.entity} {self.key}"


class StreamCount(models.Model):
    """The counts of a stream on GitHub and here, and the progress of the search for deletions."""

    class Outcome(models.TextChoices):
        AGREES = "agrees"  # as many there as here
        SETTLED = "settled"  # what GitHub has no more is marked as deleted
        SHORT = "short"  # GitHub has more, or others, than are here: the stream has to be read again
        MASS = "mass"  # too much would be deleted at once: nothing was marked
        UNSTEADY = "unsteady"  # GitHub's list does not come to its own count, however often it is read
        TOO_LONG = "too_long"  # GitHub does not list all of it
        SHUT = "shut"  # the repository shows no issues now, which says nothing of whether they exist

    repository_sync = models.ForeignKey(RepositorySync, on_delete=models.CASCADE, related_name="counts")
    stream = models.TextField()
    outcome = models.TextField(choices=Outcome.choices, db_default="", blank=True, help_text="empty while it goes on")
    counted_at = models.DateTimeField(null=True, blank=True, help_text="by GitHub's clock")
    theirs = models.IntegerField(null=True, blank=True, help_text="how many GitHub has, leaving out the latest minute")
    ours = models.IntegerField(null=True, blank=True, help_text="how many of the same time are here, not deleted")
    place = models.JSONField(default=dict, blank=True, help_text="where the search is; empty once it is over")

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["repository_sync", "stream"], name="a_sync_counts_a_stream_once"),
        ]

    def __str__(self) -> str:
        return f"{self.stream} of {self.repository_sync}"

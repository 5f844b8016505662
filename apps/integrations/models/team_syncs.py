"""A team's part in a run of reconciliation: which repositories are its own there, and how they fared together."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from apps.teams.models import Team


class TeamSync(models.Model):
    """A team in a run. It ends in the transaction that tells the team's row of it, so no verdict is ever lost."""

    class Status(models.TextChoices):
        WAITING = "waiting"  # its repositories have no rows in the run yet
        RUNNING = "running"  # they have; or there is an `error` that says why they will not
        SUCCESS = "success"
        FAILED = "failed"

    UNFINISHED: ClassVar = (Status.WAITING, Status.RUNNING)

    sync = models.ForeignKey("SyncLog", on_delete=models.CASCADE, related_name="teams")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="syncs")
    status = models.TextField(choices=Status.choices, db_default=Status.WAITING)
    error = models.TextField(db_default="", blank=True, help_text="what is wrong, for the team's admins")
    repository_ids = ArrayField(
        models.BigIntegerField(), default=list, blank=True, help_text="what it tracked, and could be read, at the start"
    )
    rung_at = models.DateTimeField(null=True, blank=True, help_text="when workers were last told of it")
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["sync", "team"], name="a_team_has_one_part_in_a_sync"),
            models.CheckConstraint(
                condition=Q(status__in=["success", "failed"], finished_at__isnull=False)
                | Q(status__in=["waiting", "running"], finished_at=None),
                name="a_team_sync_is_finished_exactly_in_its_last_states",
            ),
        ]
        indexes: ClassVar = [
            # which are to be spread or concluded
            models.Index(fields=["sync"], name="team_sync_unfinished", condition=Q(status__in=["waiting", "running"])),
            # the latest of a team: what its streak of failures goes by
            models.Index(fields=["team", "-id"], name="team_sync_of_team"),
        ]

    def __str__(self) -> str:
        return f"{self.team} in {self.sync}"

"""Hourly figures, nightly samples, and when the figures of repositories and teams changed."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models.functions import Now

from apps.activity.models import Repository
from apps.teams.models import Team


class HourlyFigures(models.Model):
    """A team's figures of the last 30 days as they were in one hour; later data does not change them."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, db_index=False, related_name="hourly_figures")
    hour = models.DateTimeField(help_text="full hour (UTC) of the computation")
    computed_at = models.DateTimeField()
    complete_until = models.DateTimeField(null=True, blank=True, help_text="empty if unverified")
    figures = models.JSONField(help_text="value, number of entities and version by the key of the figure")
    start = models.DateField(null=True, blank=True, help_text="the first day of the window")
    time_zone = models.TextField(blank=True, db_default="", help_text="of the days of the window")
    rules_version = models.SmallIntegerField(null=True, blank=True, help_text="of the rows that were counted")
    last_source = models.BigIntegerField(null=True, blank=True, help_text="the newest provenance of that time")

    class Meta:
        verbose_name_plural = "hourly figures"
        constraints = (models.UniqueConstraint(fields=("team", "hour"), name="one_row_of_figures_per_team_and_hour"),)
        # hourly_figures.thin_out: rows of any team that are old enough
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


class RebuildSample(models.Model):
    """What was derived again in one night, to compare it with what is stored."""

    night = models.DateField(unique=True)
    waiting = ArrayField(
        models.BigIntegerField(), default=list, blank=True, help_text="repositories that are still to be compared"
    )
    repositories = models.IntegerField(db_default=0, help_text="how many were compared")
    skipped = models.IntegerField(db_default=0, help_text="how many could not be compared")
    compared = models.IntegerField(db_default=0, help_text="how many entities were derived again")
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-night",)

    def __str__(self) -> str:
        return f"night of {self.night}"


class RebuildDifference(models.Model):
    """A derived row that was not what the facts make of it, until its repository is rebuilt."""

    sample = models.ForeignKey(RebuildSample, on_delete=models.CASCADE, related_name="differences")
    repository = models.ForeignKey(
        Repository, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    description = models.TextField()
    settled_at = models.DateTimeField(null=True, blank=True, help_text="when the repository was rebuilt")

    def __str__(self) -> str:
        return self.description

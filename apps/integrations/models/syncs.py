"""Reconciliation: its runs with their teams and repositories, what drifted, and the search for deletions."""

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import connection, models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from apps.activity.models import Repository
from apps.jobs.models import Job, JobQuerySet
from apps.teams.models import Team
from apps.teams.visibility import repositories_visible_to
from apps.users.access import is_operator


class TeamSync(models.Model):
    """A team in a run. It ends in the transaction that writes its result into the team's row, so none is lost."""

    class Status(models.TextChoices):
        WAITING = "waiting"  # its repositories have no rows in the run yet
        RUNNING = "running"  # they have; or there is an `error` that says why they will not
        SUCCESS = "success"
        FAILED = "failed"

    UNFINISHED: ClassVar = (Status.WAITING, Status.RUNNING)

    sync = models.ForeignKey("SyncLog", on_delete=models.CASCADE, db_index=False, related_name="teams")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, db_index=False, related_name="syncs")
    status = models.TextField(choices=Status.choices, db_default=Status.WAITING)
    error = models.TextField(db_default="", blank=True, help_text="what is wrong, for the team's admins")
    repository_ids = ArrayField(
        models.BigIntegerField(), default=list, blank=True, help_text="what it tracked, and could be read, at the start"
    )
    notified_at = models.DateTimeField(null=True, blank=True, help_text="when workers were last notified")
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["sync", "team"], name="a_team_is_in_a_sync_once"),
            models.CheckConstraint(
                condition=Q(status__in=["success", "failed"], finished_at__isnull=False)
                | Q(status__in=["waiting", "running"], finished_at=None),
                name="a_team_sync_is_finished_exactly_in_its_last_states",
            ),
        ]
        indexes: ClassVar = [
            # which are to be fanned out or concluded
            models.Index(fields=["sync"], name="team_sync_unfinished", condition=Q(status__in=["waiting", "running"])),
            # the latest of a team: what its streak of failures goes by
            models.Index(fields=["team", "-id"], name="team_sync_of_team"),
        ]

    def __str__(self) -> str:
        return f"{self.team} in {self.sync}"


class SyncLogQuerySet(models.QuerySet["SyncLog"]):
    """Every change of state is one guarded UPDATE; the row count says whether it happened."""

    def visible_to(self, user: Any) -> "SyncLogQuerySet":
        """Return all runs for an operator; for another user those of their teams, and those with something of theirs.

        A run names the team that it is of, so another team's is not shown even where both track a repository.
        """
        if is_operator(user):
            return self.all()
        teams = Team.objects.visible_to(user).order_by().values("pk")
        team_runs = TeamSync.objects.filter(sync=OuterRef("pk"), team__in=teams)
        theirs = repositories_visible_to(user).order_by().values("pk")
        repositories = RepositorySync.objects.filter(sync=OuterRef("pk"), repository__in=theirs)
        return self.filter(Q(team__in=teams) | Q(Exists(team_runs) | Exists(repositories), team=None))

    def unfinished(self) -> "SyncLogQuerySet":
        """Return the runs that have not ended."""
        return self.filter(status__in=SyncLog.UNFINISHED)

    def due(self) -> "SyncLogQuerySet":
        """Return those that are to be fanned out now."""
        return self.filter(status=SyncLog.Status.WAITING, not_before__lte=Now())


class SyncLog(models.Model):
    """One run of reconciliation; it is fanned out to teams and repositories in one transaction.

    Its `sync_id` names the period or the request, so that a second attempt creates no second row.
    """

    class Cause(models.TextChoices):
        NIGHTLY = "nightly"
        SCHEDULED = "scheduled"  # a team's own frequency
        MANUAL = "manual"

    class Status(models.TextChoices):
        WAITING = "waiting"  # for a worker, from `not_before` on
        RUNNING = "running"  # its repositories are being compared
        COMPLETED = "completed"
        FAILED = "failed"  # of at least one repository not everything could be compared

    UNFINISHED: ClassVar = (Status.WAITING, Status.RUNNING)

    sync_id = models.TextField(unique=True, help_text="the period, such as nightly:2026-03-02, or the request")
    cause = models.TextField(choices=Cause.choices)
    scope = models.TextField(
        db_default="", blank=True, help_text="what it compares, such as nightly, team:5 or repositories:7,8"
    )
    team = models.ForeignKey(Team, on_delete=models.CASCADE, null=True, blank=True, db_index=False, related_name="+")
    status = models.TextField(choices=Status.choices, db_default=Status.WAITING)
    error = models.TextField(db_default="", blank=True)
    accepts_mass_deletions = models.BooleanField(
        db_default=False, help_text="what GitHub has no more is marked as deleted, however much it is"
    )
    is_thorough = models.BooleanField(
        db_default=False,
        help_text="what changes without a trace is compared in every repository, not only in those that are due",
    )
    is_fanned_out = models.BooleanField(db_default=False, help_text="each of its repositories has a row")

    not_before = models.DateTimeField(db_default=Now())
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = SyncLogQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["scope"],
                condition=Q(status__in=["waiting", "running"]) & ~Q(scope=""),
                name="a_scope_has_one_unfinished_sync",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["completed", "failed"], finished_at__isnull=False)
                | Q(status__in=["waiting", "running"], finished_at=None),
                name="a_sync_is_finished_exactly_in_its_last_states",
            ),
        ]
        indexes: ClassVar = [
            # which runs are due, or may be concluded
            models.Index(fields=["not_before"], name="sync_unfinished", condition=Q(status__in=["waiting", "running"])),
            # the latest runs of a team
            models.Index(fields=["team", "-id"], name="sync_of_team"),
        ]

    def __str__(self) -> str:
        return self.sync_id


class RepositorySyncQuerySet(JobQuerySet["RepositorySync"]):
    """Every change of state is one guarded UPDATE; the row count says whether it happened."""

    def verify_what_is_read(self, *, of: int | None = None) -> int:
        """Make those due of which nothing is being read any more, or this one; return how many.

        A paused backfill is not waited for.
        """
        parameters = {"kind": RepositorySync.KIND, "reading": RepositorySync.READING, "id": of}
        with connection.cursor() as cursor:
            cursor.execute(_VERIFY_WHAT_IS_READ, parameters)
            return int(cursor.rowcount)


_VERIFY_WHAT_IS_READ = """
UPDATE jobs_job j SET not_before = statement_timestamp(), reason = ''
FROM integrations_repositorysync s
WHERE s.job_ptr_id = j.id AND j.kind = %(kind)s AND j.state = 'waiting' AND j.reason = %(reading)s
  AND (%(id)s::bigint IS NULL OR j.id = %(id)s)
  AND NOT EXISTS (
    SELECT FROM integrations_backfill b JOIN jobs_job read ON read.id = b.job_ptr_id
    WHERE b.repository_id = s.repository_id AND b.stream = ANY(s.differs) AND read.state IN ('waiting', 'running'))
"""


class RepositorySync(Job):
    """The job that verifies one repository in a run: it is probed, what differs is read, then it is counted."""

    KIND: ClassVar = "verify_repository"
    READING: ClassVar = "reading"
    """Why it waits while what differs is being read."""

    sync = models.ForeignKey(SyncLog, on_delete=models.CASCADE, db_index=False, related_name="repositories")
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, db_index=False, related_name="syncs")
    probed_at = models.DateTimeField(null=True, blank=True, help_text="by GitHub's clock; empty until it was probed")
    marks = models.JSONField(default=dict, blank=True, help_text="what the probe showed of each stream")
    differs = ArrayField(models.TextField(), default=list, blank=True, help_text="the streams that are read")

    objects = RepositorySyncQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["sync", "repository"], name="a_sync_looks_at_a_repository_once"),
        ]
        indexes: ClassVar = [
            # the latest of a repository
            models.Index(fields=["repository", "-job_ptr"], name="repository_sync_of_repository"),
        ]

    def __str__(self) -> str:
        return f"{self.repository} in {self.sync}"


class DriftQuerySet(models.QuerySet["Drift"]):
    """Drift of streams."""

    def visible_to(self, user: Any) -> "DriftQuerySet":
        """Return those of the repositories that the user may see."""
        return self.filter(repository_sync__repository__in=repositories_visible_to(user).order_by().values("pk"))

    def newest(self) -> "DriftQuerySet":
        """Return, for each stream of a repository, what the last run that read it found."""
        later = Drift.objects.filter(
            stream=models.OuterRef("stream"),
            repository_sync__repository=models.OuterRef("repository_sync__repository"),
            repository_sync__gt=models.OuterRef("repository_sync"),
        )
        return self.filter(~models.Exists(later))


class Drift(models.Model):
    """How far our tables were off in one stream of one repository, as a run found them before it repaired them."""

    COUNTS: ClassVar = ("checked", "missing", "stale", "repaired", "deleted")

    repository_sync = models.ForeignKey(RepositorySync, on_delete=models.CASCADE, db_index=False, related_name="drifts")
    stream = models.TextField()
    checked = models.IntegerField(db_default=0, help_text="entities that GitHub showed")
    missing = models.IntegerField(db_default=0, help_text="those of them that we had not")
    stale = models.IntegerField(db_default=0, help_text="those that we had otherwise")
    repaired = models.IntegerField(db_default=0, help_text="missing or stale ones that are right now")
    deleted = models.IntegerField(db_default=0, help_text="those that we had and GitHub has no more")
    recovery_sources = models.JSONField(
        default=dict, blank=True, help_text="how many of the missing ones each source brought"
    )

    objects = DriftQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["repository_sync", "stream"], name="one_drift_per_stream_of_a_sync"),
        ]

    def __str__(self) -> str:
        return f"{self.stream} of {self.repository_sync}"


class StreamMark(models.Model):
    """What a probe showed of a stream when all of it was here the last time: if it shows the same, nothing changed."""

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="+", db_index=False)
    stream = models.TextField()
    mark = models.JSONField(help_text="such as a count and the latest time")
    passed_at = models.DateTimeField(help_text="when the pass began that showed this, by GitHub's clock")
    reread_at = models.DateTimeField(
        null=True, blank=True, help_text="when what may change without a trace was read the last time"
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["repository", "stream"], name="one_mark_per_stream_of_a_repository"),
        ]

    def __str__(self) -> str:
        return f"{self.stream} of {self.repository_id}"


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

    repository_sync = models.ForeignKey(
        RepositorySync, on_delete=models.CASCADE, db_index=False, related_name="drifted"
    )
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

    repository_sync = models.ForeignKey(RepositorySync, on_delete=models.CASCADE, db_index=False, related_name="counts")
    stream = models.TextField()
    outcome = models.TextField(choices=Outcome.choices, db_default="", blank=True, help_text="empty while it continues")
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

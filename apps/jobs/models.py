"""Durable work: one row is one job, whatever it does. What is particular to a kind stands in a row of its own."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, TypeVar

from django.db import models, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from apps.activity.models import Installation
from apps.common.db import lock_unclaimed

LEASE = timedelta(seconds=75)
"""Longer than a task may run (60 s): a worker that holds an expired lease is dead."""
Row = TypeVar("Row", bound="Job")

_RELEASED: dict[str, Any] = {"lease_until": None, "leased_by": ""}
_TAKEN_AWAY: dict[str, Any] = {**_RELEASED, "claim_number": F("claim_number") + 1}


class ClaimLostError(Exception):
    """Somebody claimed, paused, cancelled or changed the job meanwhile; what was done for it must not be kept."""


def ensure_held(changed: int) -> None:
    """Raise ClaimLostError unless a guarded UPDATE changed the job."""
    if not changed:
        raise ClaimLostError


class JobQuerySet(models.QuerySet[Row]):
    """Every change of state is one guarded UPDATE; the row count says whether it happened."""

    def open(self, kind: str, *, priority: int, installations: Mapping[str, int | None], page_size: int = 1) -> int:
        """Have a job waiting for each key, with the installation that it asks; return how many began to wait.

        The latest one that ended goes on with what it learned; one that is unfinished stays as it is.
        """
        keys = list(installations)
        latest = self.filter(kind=kind, key__in=keys).order_by("key", "-pk").distinct("key")
        reopened = self.filter(pk__in=latest.values("pk"), state=Job.State.DONE).update(
            state=Job.State.WAITING, not_before=Now(), finished_at=None, reason="", error="", attempts=0
        )
        known = set(self.filter(kind=kind, key__in=keys).values_list("key", flat=True))
        new = [
            self.model(kind=kind, key=key, priority=priority, installation_id=installations[key], page_size=page_size)
            for key in keys
            if key not in known
        ]
        return reopened + len(self.bulk_create(new, ignore_conflicts=True))

    @property
    def jobs(self) -> "JobQuerySet[Job]":
        """Return the same jobs without what is particular to their kind: a guarded UPDATE is of one table."""
        return Job.objects.filter(pk__in=self.order_by().values("pk"))

    def unfinished(self) -> "JobQuerySet[Row]":
        """Return those that have not ended, whether or not somebody paused them."""
        return self.filter(state__in=Job.UNFINISHED)

    def failures(self) -> "JobQuerySet[Row]":
        """Return those that failed and were not started anew since."""
        return self.filter(_is_latest(), state=Job.State.FAILED)

    def open_or_failed(self) -> "JobQuerySet[Row]":
        """Return those that have not ended, and those that failed and were not started anew since."""
        is_open = ~Q(state=Job.State.FAILED)
        return self.filter(is_open | _is_latest(), state__in=[*Job.UNFINISHED, Job.State.FAILED])

    def resting(self, *, at: Any = Now()) -> "JobQuerySet[Row]":  # noqa: B008  an expression, not a time
        """Return those that no worker may claim now: one is at it, or the wait is not over."""
        return self.filter(Q(state=Job.State.RUNNING, lease_until__gte=at) | Q(not_before__gt=at))

    def held(self, *, claim_number: int) -> "JobQuerySet[Row]":
        """Return those that nobody claimed, paused or cancelled since the claim of this number."""
        return self.filter(state=Job.State.RUNNING, claim_number=claim_number)

    def put_off(self, *, after: timedelta, reason: str, **learned: Any) -> int:
        """Release those that are held; they are due again after a while."""
        return self.update(state=Job.State.WAITING, not_before=Now() + after, reason=reason, **_RELEASED, **learned)

    def wait_as_well(self, *, seconds: float, reason: str) -> int:
        """Let those that wait for less wait as long; what somebody changes just now is left out."""
        until = Now() + timedelta(seconds=seconds)
        shorter = self.jobs.filter(state=Job.State.WAITING, not_before__lt=until)
        with transaction.atomic():
            ids = list(lock_unclaimed(shorter).order_by().values_list("pk", flat=True))
            return Job.objects.filter(pk__in=ids).update(not_before=until, reason=reason)

    def end(self, state: "Job.State", *, reason: str = "", error: str = "", **learned: Any) -> int:
        """End those that are held, as done or failed."""
        return self.update(state=state, reason=reason, error=error, finished_at=Now(), **_RELEASED, **learned)

    def pause(self) -> int:
        """Stop them where they are until somebody resumes them; a worker that is at one loses its claim."""
        active = self.jobs.filter(state__in=[Job.State.WAITING, Job.State.RUNNING])
        return active.update(state=Job.State.PAUSED, **_TAKEN_AWAY)

    def resume(self) -> int:
        """Let them go on where they were paused."""
        return self.jobs.filter(state=Job.State.PAUSED).update(state=Job.State.WAITING, not_before=Now())

    def cancel(self) -> int:
        """End them for good; what they did stays."""
        return self.jobs.unfinished().update(
            state=Job.State.CANCELLED, reason="cancelled", finished_at=Now(), **_TAKEN_AWAY
        )


class Job(models.Model):
    """A piece of durable work: claimed under a lease, put off for a reason, ended once.

    Its kind says what is done (`registry`), its key what it is done to: of the two, one job is unfinished at a time.
    """

    class State(models.TextChoices):
        WAITING = "waiting"  # for a worker, for a rate limit, or for GitHub to recover: due at `not_before`
        RUNNING = "running"  # a worker holds its lease
        PAUSED = "paused"  # until somebody resumes it
        DONE = "done"
        CANCELLED = "cancelled"
        FAILED = "failed"  # somebody has to look; it can be retried where it stopped

    UNFINISHED: ClassVar = (State.WAITING, State.RUNNING, State.PAUSED)

    kind = models.TextField(help_text="what is done, such as read_stream")
    key = models.TextField(help_text="what it is done to, such as an installation's id")
    installation = models.ForeignKey(
        Installation,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        help_text="whose access it reads with; empty for the App's own",
    )
    priority = models.SmallIntegerField(help_text="the smallest first, as at GitHub's rate limit")

    state = models.TextField(choices=State.choices, db_default=State.WAITING)
    reason = models.TextField(db_default="", blank=True, help_text="why it waits or ended, as one word")
    error = models.TextField(db_default="", blank=True, help_text="GitHub's words, or ours")
    not_before = models.DateTimeField(db_default=Now())

    claim_number = models.IntegerField(db_default=0, help_text="only grows; a worker with another one changes nothing")
    lease_until = models.DateTimeField(null=True, blank=True)
    leased_by = models.TextField(db_default="", blank=True, help_text="the Celery task that is at it")
    attempts = models.SmallIntegerField(db_default=0, help_text="failures since it last advanced")

    cursor = models.TextField(db_default="", blank=True, help_text="where it goes on; empty at its start")
    page_size = models.SmallIntegerField(db_default=1, help_text="how much GitHub is asked for at once; learned")
    clean_pages = models.SmallIntegerField(db_default=0, help_text="pages since the size was last changed")
    skips_item = models.BooleanField(
        db_default=False, help_text="the one item at the cursor is too much: it is skipped"
    )
    restarts = models.SmallIntegerField(db_default=0, help_text="how often its cursor was void")
    total = models.IntegerField(null=True, blank=True, help_text="how many there are, as far as GitHub says")
    items = models.IntegerField(db_default=0, help_text="how many were read")
    pages = models.IntegerField(db_default=0)
    calls = models.IntegerField(db_default=0, help_text="requests of GitHub's API")
    points = models.IntegerField(db_default=0, help_text="what they cost of the hourly limits")
    skipped = models.JSONField(default=list, blank=True, help_text="what GitHub could not show, with its words")

    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True, blank=True, help_text="when it left its start")
    advanced_at = models.DateTimeField(
        null=True, blank=True, help_text="when it last kept something: the one that waited longest goes on"
    )
    finished_at = models.DateTimeField(null=True, blank=True)

    was_dropped: ClassVar[bool] = False
    """Set on a row that was claimed: it was taken over from a worker that did not return it."""

    objects = JobQuerySet["Job"].as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["kind", "key"],
                condition=Q(state__in=["waiting", "running", "paused"]),
                name="of_a_kind_and_key_one_job_is_unfinished",
            ),
            models.CheckConstraint(
                condition=Q(state="running", lease_until__isnull=False) | (~Q(state="running") & Q(lease_until=None)),
                name="a_job_holds_a_lease_exactly_while_it_runs",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["done", "cancelled", "failed"], finished_at__isnull=False)
                | Q(state__in=["waiting", "running", "paused"], finished_at=None),
                name="a_job_is_finished_exactly_in_its_last_states",
            ),
        ]
        indexes: ClassVar = [
            # claims: the next of each installation, kind by kind
            models.Index(
                "kind",
                "installation",
                F("advanced_at").asc(nulls_first=True),
                "id",
                name="job_unfinished",
                condition=Q(state__in=["waiting", "running"]),
            ),
            # claims: how many of an installation are at work
            models.Index(
                fields=["kind", "installation"],
                name="job_at_work",
                condition=Q(state="running") | Q(state="waiting", reason="busy"),
            ),
            # the jobs of one kind; the newest of one key
            models.Index(fields=["kind", "key", "-id"], name="job_of_key"),
            # people: the jobs in one state, with one reason, or of one installation, newest first
            models.Index(fields=["state", "-id"], name="job_of_state", condition=~Q(state="done")),
            models.Index(fields=["reason", "-id"], name="job_of_reason", condition=~Q(reason="")),
            models.Index(fields=["installation", "-id"], name="job_of_installation"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"

    @property
    def claim(self) -> "JobQuerySet[Job]":
        """Return this row, as long as the claim under which it was read holds."""
        return Job.objects.filter(pk=self.pk).held(claim_number=self.claim_number)

    def hold(self, **changes: Any) -> None:
        """Change the row, and what is particular to its kind, under the claim, and lock it for the transaction.

        ClaimLostError if somebody claimed, paused, cancelled or changed it meanwhile.
        """
        shared = {name: value for name, value in changes.items() if name in _SHARED}
        particular = {name: value for name, value in changes.items() if name not in _SHARED}
        with transaction.atomic():
            ensure_held(self.claim.update(**(shared or {"claim_number": self.claim_number})))
            if particular:
                type(self)._default_manager.filter(pk=self.pk).update(**particular)
        for name, value in changes.items():
            setattr(self, name, value)

    @property
    def goes_on(self) -> bool:
        """Return whether the last task stopped in the middle, and the next may go on now."""
        return self.state == Job.State.WAITING and self.not_before <= timezone.now()

    @property
    def subject(self) -> str:
        """Return the name under which the job waits for its turn at GitHub."""
        return f"job {self.pk}"


class PlanTime(models.Model):
    """When the dispatcher may run a plan again, by the database's clock: one for all workers."""

    name = models.TextField(primary_key=True)
    due_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


def _is_latest() -> Q:
    later = Job.objects.filter(kind=OuterRef("kind"), key=OuterRef("key"), pk__gt=OuterRef("pk"))
    return Q(~Exists(later))


_SHARED = {field.name for field in Job._meta.local_fields}

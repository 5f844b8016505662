"""How far the history of each repository has been read, stream by stream."""

from datetime import timedelta
from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from apps.activity.models import Installation, Repository
from apps.teams.visibility import repositories_visible_to


class BackfillQuerySet(models.QuerySet["Backfill"]):
    """Every change of state is one guarded UPDATE; the row count says whether it happened."""

    def visible_to(self, user: Any) -> "BackfillQuerySet":
        """Those of the repositories that the user may see."""
        return self.filter(repository__in=repositories_visible_to(user).order_by().values("pk"))

    def unfinished(self) -> "BackfillQuerySet":
        """Those that are still to be walked, whether or not somebody paused them."""
        return self.filter(state__in=Backfill.UNFINISHED)

    def held(self, *, claim_number: int) -> "BackfillQuerySet":
        """Those that nobody claimed, paused or cancelled since the claim of this number: the fence of every page."""
        return self.filter(state=Backfill.State.RUNNING, claim_number=claim_number)

    def put_off(self, *, after: timedelta, reason: str, **learned: Any) -> int:
        """Give up those that are held; they are due again after a while."""
        return self.update(
            state=Backfill.State.WAITING, not_before=Now() + after, reason=reason, **_NOBODY_HOLDS, **learned
        )

    def end(self, state: "Backfill.State", *, reason: str = "", error: str = "", **learned: Any) -> int:
        """End those that are held, as done or failed."""
        return self.update(state=state, reason=reason, error=error, finished_at=Now(), **_NOBODY_HOLDS, **learned)

    def pause(self) -> int:
        """Stop where they are until somebody resumes them; a worker that walks one now loses its claim."""
        return self.filter(state__in=[Backfill.State.WAITING, Backfill.State.RUNNING]).update(
            state=Backfill.State.PAUSED, **_NOBODY_WALKS
        )

    def resume(self) -> int:
        """Go on where they were paused."""
        return self.filter(state=Backfill.State.PAUSED).update(state=Backfill.State.WAITING, not_before=Now())

    def cancel(self) -> int:
        """End them for good; what was read stays."""
        return self.unfinished().update(
            state=Backfill.State.CANCELLED, reason="cancelled", finished_at=Now(), **_NOBODY_WALKS
        )


_NOBODY_HOLDS: dict[str, Any] = {"lease_until": None, "leased_by": ""}
_NOBODY_WALKS: dict[str, Any] = {**_NOBODY_HOLDS, "claim_number": F("claim_number") + 1}


class Backfill(models.Model):
    """The walk through one stream of a repository's history. Its cursor and the facts of a page commit together."""

    class State(models.TextChoices):
        WAITING = "waiting"  # for its turn, for a rate limit, or for GitHub to recover: due at `not_before`
        RUNNING = "running"  # a worker holds its lease
        PAUSED = "paused"  # until somebody resumes it
        DONE = "done"
        CANCELLED = "cancelled"
        FAILED = "failed"  # somebody has to look; it can be started again where it stopped

    UNFINISHED: ClassVar = (State.WAITING, State.RUNNING, State.PAUSED)

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="backfills")
    stream = models.TextField(help_text="as apps.integrations.streams names it")
    installation = models.ForeignKey(Installation, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
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

    state = models.TextField(choices=State.choices, db_default=State.WAITING)
    reason = models.TextField(db_default="", blank=True, help_text="why it waits or ended, as one word")
    error = models.TextField(db_default="", blank=True, help_text="GitHub's words")
    cursor = models.TextField(db_default="", blank=True, help_text="where the walk goes on; empty at its start")
    page_size = models.SmallIntegerField(help_text="how much GitHub is asked for at once; learned as it goes")
    clean_pages = models.SmallIntegerField(db_default=0, help_text="pages since the size was last changed")
    steps_over = models.BooleanField(
        db_default=False, help_text="the one item at the cursor is too much: the walk goes around it"
    )
    restarts = models.SmallIntegerField(db_default=0, help_text="how often its cursor was void")
    started_at = models.DateTimeField(null=True, blank=True, help_text="when the walk left its start")
    not_before = models.DateTimeField(db_default=Now())
    rung_at = models.DateTimeField(null=True, blank=True, help_text="when workers were last told of it")
    advanced_at = models.DateTimeField(null=True, blank=True, help_text="when its last page was kept: turns go by it")

    claim_number = models.IntegerField(db_default=0, help_text="only grows; the fence of every page")
    lease_until = models.DateTimeField(null=True, blank=True)
    leased_by = models.TextField(db_default="", blank=True, help_text="the Celery task that walks it")
    attempts = models.SmallIntegerField(db_default=0, help_text="failures since the last page that was kept")

    total = models.IntegerField(null=True, blank=True, help_text="how many there are, as far as GitHub says")
    items = models.IntegerField(db_default=0, help_text="how many were read")
    pages = models.IntegerField(db_default=0)
    calls = models.IntegerField(db_default=0, help_text="requests of GitHub's API")
    points = models.IntegerField(db_default=0, help_text="what they cost of the hourly limits")
    skipped = models.JSONField(default=list, blank=True, help_text="what GitHub could not show, with its words")

    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = BackfillQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["repository", "stream"],
                condition=Q(state__in=["waiting", "running", "paused"]),
                name="a_stream_of_a_repository_has_one_unfinished_backfill",
            ),
            models.CheckConstraint(
                condition=Q(state="running", lease_until__isnull=False) | (~Q(state="running") & Q(lease_until=None)),
                name="a_backfill_holds_a_lease_exactly_while_it_runs",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["done", "cancelled", "failed"], finished_at__isnull=False)
                | Q(state__in=["waiting", "running", "paused"], finished_at=None),
                name="a_backfill_is_finished_exactly_in_its_last_states",
            ),
        ]
        indexes: ClassVar = [
            # backfill.wakeups: whose turn is it, installation by installation
            models.Index(
                "installation",
                F("advanced_at").asc(nulls_first=True),
                "id",
                name="backfill_unfinished",
                condition=Q(state__in=["waiting", "running"]),
            ),
            # backfill.wakeups: how many of an installation are at work, or were told to be
            models.Index(
                fields=["installation"],
                name="backfill_at_work",
                condition=Q(state="running")
                | Q(state="waiting", reason="busy")
                | Q(state="waiting", rung_at__isnull=False),
            ),
            # the walks of one repository, newest first
            models.Index(fields=["repository", "-id"], name="backfill_of_repository"),
        ]

    def __str__(self) -> str:
        return f"{self.stream} of {self.repository}"


LEASE = timedelta(seconds=75)
"""Longer than a task may run (60 s): whoever holds a lapsed lease is dead."""

"""The scan of GitHub's delivery log, and the deliveries in it that were not in the inbox."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any, ClassVar

from django.db import models
from django.db.models import Case, Exists, F, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Now

from apps.jobs.models import Job, JobQuerySet
from apps.webhooks.models import Delivery


class DeliveryLogScanQuerySet(JobQuerySet["DeliveryLogScan"]):
    """Scans of GitHub's log of deliveries, one for each App."""

    def hasten(self, *, apart: timedelta) -> int:
        """Make the scan due now, unless it began a moment ago, a worker runs it, or it waits for a limit."""
        is_old = Q(started_at=None) | Q(started_at__lt=Now() - apart)
        may_go = self.filter(is_old, state=Job.State.WAITING).exclude(reason__in=DeliveryLogScan.LIMITS)
        return may_go.update(read_due_at=Now(), not_before=Now())


class DeliveryLogScan(Job):
    """The recurring job that reads the delivery log of one App, with its position in it."""

    KIND: ClassVar = "scan_delivery_log"
    LIMITS: ClassVar[Collection[str]] = ("busy", "blocked", "spent")
    """Reasons to wait that come from GitHub's limits."""

    app_id = models.BigIntegerField(unique=True)
    hook_id = models.BigIntegerField(null=True, blank=True, help_text="the App's own webhook, as GitHub names it")
    mark = models.DateTimeField(null=True, blank=True, help_text="up to here the log was read whole, by GitHub's clock")
    covered_until = models.DateTimeField(
        null=True, blank=True, help_text="up to here all of it is in the inbox, or known to be a gap"
    )
    began_at = models.DateTimeField(null=True, blank=True, help_text="when the reading began, by GitHub's clock")
    reached_at = models.DateTimeField(null=True, blank=True, help_text="how far back the reading has come")
    read_due_at = models.DateTimeField(db_default=Now(), help_text="when the log is read again")
    read_at = models.DateTimeField(null=True, blank=True, help_text="when it was last read whole, by our clock")
    planned_at = models.DateTimeField(db_default=Now(), help_text="when it was last planned")
    truncated_at = models.DateTimeField(null=True, blank=True, help_text="when the log did not reach down to the mark")
    truncated_from = models.DateTimeField(null=True, blank=True, help_text="from here it was not there any more")
    truncated_to = models.DateTimeField(null=True, blank=True, help_text="to here")

    objects = DeliveryLogScanQuerySet.as_manager()  # type: ignore[misc]

    def __str__(self) -> str:
        return f"delivery log of App {self.app_id}"


class MissedDeliveryQuerySet(models.QuerySet["MissedDelivery"]):
    """Every change of state is one guarded UPDATE; the row count says whether it happened."""

    def open(self) -> "MissedDeliveryQuerySet":
        """Return those that are not in the inbox yet and not given up."""
        return self.filter(state__in=MissedDelivery.OPEN)

    def due(self) -> "MissedDeliveryQuerySet":
        """Return those to recover now: first those with an effect, then the oldest."""
        return self.open().filter(not_before__lte=Now()).order_by("-has_effect", "delivered_at", "log_id")

    def settle(self) -> int:
        """Mark those that are in the inbox by now, with what brought them there; return how many."""
        arrived = Delivery.objects.filter(hook_id=OuterRef("hook_id"), guid=OuterRef("guid"))
        source = Case(
            When(Exists(arrived.filter(source=Delivery.Source.API)), then=Value(MissedDelivery.RecoverySource.FETCHED)),
            When(asks__gt=0, then=Value(MissedDelivery.RecoverySource.REDELIVERED)),
            default=Value(MissedDelivery.RecoverySource.ARRIVED),
        )
        absent = self.exclude(state=MissedDelivery.State.KEPT).filter(Exists(arrived))
        return absent.keep(delivery=Subquery(arrived.values("pk")[:1]), recovery_source=source)

    def keep(self, **how: Any) -> int:
        """Mark them as being in the inbox; return how many."""
        return self.update(state=MissedDelivery.State.KEPT, kept_at=Now(), reason="", error="", **how)

    def begin(self, *, attempts: int, again_after: timedelta) -> int:
        """Spend an attempt before it is made, so that one that crashes its worker is not repeated at once."""
        return self.open().filter(attempts=attempts).update(attempts=F("attempts") + 1, not_before=Now() + again_after)

    def cancel_attempt(self) -> int:
        """Give the attempt back, as it was not made."""
        return self.open().update(attempts=F("attempts") - 1, not_before=Now())

    def give_up(self, *, reason: str, error: str) -> int:
        """Give them up after both ways have failed."""
        return self.open().update(state=MissedDelivery.State.GIVEN_UP, reason=reason, error=error)

    def use_fallback(self, *, reason: str, error: str) -> int:
        """Try the fallback after one way has failed."""
        return self.open().update(
            state=MissedDelivery.State.WAITING,
            uses_fallback=True,
            attempts=0,
            not_before=Now(),
            reason=reason,
            error=error,
        )


class MissedDelivery(models.Model):
    """A delivery in GitHub's log that was not in the inbox when the log was read, whatever status GitHub shows."""

    class State(models.TextChoices):
        WAITING = "waiting"  # to be recovered, due at `not_before`
        ASKED = "asked"  # GitHub was asked to deliver it again
        KEPT = "kept"  # it is in the inbox
        GIVEN_UP = "given_up"  # GitHub has it no more, or does not show it

    class RecoverySource(models.TextChoices):
        """What brought it into the inbox."""

        FETCHED = "fetched"  # read from GitHub's log
        REDELIVERED = "redelivered"  # received, because we asked for it
        ARRIVED = "arrived"  # received without our asking: it was late, or a person had it redelivered

    OPEN: ClassVar[Collection[str]] = (State.WAITING, State.ASKED)

    hook_id = models.BigIntegerField()
    guid = models.UUIDField()
    log_id = models.BigIntegerField(help_text="the newest attempt at it in GitHub's log")
    delivered_at = models.DateTimeField(help_text="the oldest attempt that was seen, by GitHub's clock")
    status_code = models.SmallIntegerField(help_text="what GitHub says we answered; 0 for nothing")
    event = models.TextField()
    action = models.TextField(db_default="", blank=True)
    installation_id = models.BigIntegerField(null=True, blank=True)
    repository_id = models.BigIntegerField(null=True, blank=True)
    has_effect = models.BooleanField(help_text="whether its event is not on the list of those that are ignored")

    state = models.TextField(choices=State.choices, db_default=State.WAITING)
    recovery_source = models.TextField(
        choices=RecoverySource.choices, db_default="", blank=True, help_text="what brought it into the inbox"
    )
    delivery = models.ForeignKey(
        Delivery, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", help_text="where it is kept"
    )
    uses_fallback = models.BooleanField(db_default=False, help_text="the way that SCAN_REDELIVERS names has failed")
    asks = models.SmallIntegerField(db_default=0, help_text="how often GitHub was asked to deliver it again")
    attempts = models.SmallIntegerField(db_default=0, help_text="attempts in the present way")
    not_before = models.DateTimeField(db_default=Now())
    reason = models.TextField(db_default="", blank=True, help_text="why it is not here, as one word")
    error = models.TextField(db_default="", blank=True, help_text="GitHub's words")
    is_counted = models.BooleanField(
        db_default=False, help_text="a reconciliation run has counted it in its recovery_sources"
    )
    noted_at = models.DateTimeField(db_default=Now())
    kept_at = models.DateTimeField(null=True, blank=True)

    objects = MissedDeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "missed deliveries"
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["hook_id", "guid"], name="a_missed_delivery_has_one_row_per_hook_and_guid"),
            models.CheckConstraint(
                condition=Q(state="kept", kept_at__isnull=False) & ~Q(recovery_source="")
                | ~Q(state="kept") & Q(kept_at=None),
                name="a_missed_delivery_has_a_recovery_source_exactly_when_it_is_kept",
            ),
        ]
        indexes: ClassVar = [
            # what is to be recovered, and whether it arrived meanwhile
            models.Index(fields=["not_before"], name="missed_open", condition=~Q(state="kept")),
            # what keeps a stretch of the log from being covered
            models.Index(fields=["delivered_at"], name="missed_delivered", condition=Q(has_effect=True)),
            # drift.recovery_sources: what was recovered of a repository since it was compared the last time
            models.Index(
                fields=["repository_id"], name="missed_uncounted", condition=Q(state="kept", is_counted=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.hook_id}:{self.guid}"

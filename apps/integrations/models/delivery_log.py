"""GitHub's log of deliveries: how far it was walked, and what was found in it that is not in the inbox."""

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
        """Have the log read now, unless that began a moment ago, or a worker is at it, or a limit is waited for."""
        is_old = Q(started_at=None) | Q(started_at__lt=Now() - apart)
        may_go = self.filter(is_old, state=Job.State.WAITING).exclude(reason__in=DeliveryLogScan.LIMITS)
        return may_go.update(read_due_at=Now(), not_before=Now())


class DeliveryLogScan(Job):
    """The job that reads the log of one App's deliveries, again and again: how far it came, and what is known of it."""

    KIND: ClassVar = "scan_delivery_log"
    LIMITS: ClassVar[Collection[str]] = ("busy", "blocked", "spent")
    """Reasons to wait that GitHub's limits are."""

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
    planned_at = models.DateTimeField(db_default=Now(), help_text="when somebody last looked whether it is due")
    truncated_at = models.DateTimeField(null=True, blank=True, help_text="when the log did not reach down to the mark")
    truncated_from = models.DateTimeField(null=True, blank=True, help_text="from here it was not there any more")
    truncated_to = models.DateTimeField(null=True, blank=True, help_text="to here")

    objects = DeliveryLogScanQuerySet.as_manager()  # type: ignore[misc]

    def __str__(self) -> str:
        return f"delivery log of App {self.app_id}"


class MissedDeliveryQuerySet(models.QuerySet["MissedDelivery"]):
    """Every change of state is one guarded UPDATE; the row count says whether it happened."""

    def open(self) -> "MissedDeliveryQuerySet":
        """Those that are still to come."""
        return self.filter(state__in=MissedDelivery.OPEN)

    def due(self) -> "MissedDeliveryQuerySet":
        """Those to be brought back now: first what takes effect, then what went wrong longest ago."""
        return self.open().filter(not_before__lte=Now()).order_by("-has_effect", "delivered_at", "log_id")

    def settle(self) -> int:
        """Note which are in the inbox by now, and by which road they came."""
        arrived = Delivery.objects.filter(hook_id=OuterRef("hook_id"), guid=OuterRef("guid"))
        road = Case(
            When(Exists(arrived.filter(source=Delivery.Source.API)), then=Value(MissedDelivery.Road.FETCHED)),
            When(asks__gt=0, then=Value(MissedDelivery.Road.REDELIVERED)),
            default=Value(MissedDelivery.Road.CAME),
        )
        absent = self.exclude(state=MissedDelivery.State.KEPT).filter(Exists(arrived))
        return absent.keep(delivery=Subquery(arrived.values("pk")[:1]), road=road)

    def keep(self, **how: Any) -> int:
        """They are in the inbox."""
        return self.update(state=MissedDelivery.State.KEPT, kept_at=Now(), reason="", error="", **how)

    def begin(self, *, attempts: int, again_after: timedelta) -> int:
        """Spend an attempt before it is made: whoever does not survive it is not asked for it again at once."""
        return self.open().filter(attempts=attempts).update(attempts=F("attempts") + 1, not_before=Now() + again_after)

    def take_back(self) -> int:
        """The attempt was not made."""
        return self.open().update(attempts=F("attempts") - 1, not_before=Now())

    def give_up(self, *, reason: str, error: str) -> int:
        """Neither way brings them back."""
        return self.open().update(state=MissedDelivery.State.GIVEN_UP, reason=reason, error=error)

    def go_the_other_way(self, *, reason: str, error: str) -> int:
        """One way does not bring them back: try the other."""
        return self.open().update(
            state=MissedDelivery.State.WAITING,
            is_other_way=True,
            attempts=0,
            not_before=Now(),
            reason=reason,
            error=error,
        )


class MissedDelivery(models.Model):
    """A delivery in GitHub's log that was not in the inbox when the log was walked, whatever GitHub says of it."""

    class State(models.TextChoices):
        WAITING = "waiting"  # to be brought back, due at `not_before`
        ASKED = "asked"  # GitHub was asked to deliver it again
        KEPT = "kept"  # it is in the inbox
        GIVEN_UP = "given_up"  # GitHub has it no more, or does not give it

    class Road(models.TextChoices):
        """How it came back."""

        FETCHED = "fetched"  # read from GitHub's log
        REDELIVERED = "redelivered"  # through the door, because we asked for it
        CAME = "came"  # through the door by itself: it was late, or somebody had it redelivered

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
    road = models.TextField(choices=Road.choices, db_default="", blank=True, help_text="how it came back")
    delivery = models.ForeignKey(
        Delivery, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", help_text="where it is kept"
    )
    is_other_way = models.BooleanField(
        db_default=False, help_text="the way that SWEEP_REDELIVERS names did not bring it back"
    )
    asks = models.SmallIntegerField(db_default=0, help_text="how often GitHub was asked to deliver it again")
    attempts = models.SmallIntegerField(db_default=0, help_text="how often this way was tried")
    not_before = models.DateTimeField(db_default=Now())
    reason = models.TextField(db_default="", blank=True, help_text="why it is not here, as one word")
    error = models.TextField(db_default="", blank=True, help_text="GitHub's words")
    is_counted = models.BooleanField(db_default=False, help_text="a run of reconciliation has it among its roads")
    noted_at = models.DateTimeField(db_default=Now())
    kept_at = models.DateTimeField(null=True, blank=True)

    objects = MissedDeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "missed deliveries"
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["hook_id", "guid"], name="a_missed_delivery_has_one_row_per_hook_and_guid"),
            models.CheckConstraint(
                condition=Q(state="kept", kept_at__isnull=False) & ~Q(road="") | ~Q(state="kept") & Q(kept_at=None),
                name="a_missed_delivery_came_by_some_road_exactly_when_it_is_kept",
            ),
        ]
        indexes: ClassVar = [
            # what is to be brought back, and whether it came by itself
            models.Index(fields=["not_before"], name="missed_open", condition=~Q(state="kept")),
            # what keeps a stretch of the log from being covered
            models.Index(fields=["delivered_at"], name="missed_delivered", condition=Q(has_effect=True)),
            # drift.roads: what came back of a repository since it was compared the last time
            models.Index(
                fields=["repository_id"], name="missed_uncounted", condition=Q(state="kept", is_counted=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.hook_id}:{self.guid}"

"""The inbox: deliveries, their bodies, rejected requests, and webhook secrets."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar

from django.contrib.postgres.indexes import HashIndex
from django.db import models, transaction
from django.db.models import DateField, Exists, F, Func, OuterRef, Q
from django.db.models.functions import Coalesce, Now

from apps.activity.models import Installation
from apps.teams.models import Team
from apps.teams.visibility import repositories_visible_to


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """Every change of state is one guarded UPDATE; the row count says whether it happened."""

    def visible_to(self, user: Any) -> "DeliveryQuerySet":
        """Return all for an operator; for other users those of visible repositories and of their accounts."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if user.is_superuser:
            return self.all()
        accounts = Team.objects.visible_to(user).filter(account__isnull=False).order_by().values("account")
        installations = Installation.objects.filter(account__in=accounts).values_list("pk", flat=True)
        repositories = repositories_visible_to(user).order_by().values_list("pk", flat=True)
        # As values, not as a subquery: PostgreSQL then knows how much of the inbox they are, and goes by their index.
        return self.filter(
            Q(repository_id__in=list(repositories)) | Q(repository_id=None, installation_id__in=list(installations))
        )

    def unfinished(self) -> "DeliveryQuerySet":
        """Return deliveries that are not finished."""
        return self.filter(state__in=Delivery.UNFINISHED)

    def replayable(self) -> "DeliveryQuerySet":
        """Return deliveries with a body that are not running; both are conditions of the statement's own rows."""
        own_day = Func(
            OuterRef("received_at"), template="(%(expressions)s AT TIME ZONE 'UTC')::date", output_field=DateField()
        )
        bodies = DeliveryBody.objects.filter(delivery_id=OuterRef("pk"), day__in=[own_day, KEPT_DAY])
        return self.filter(Exists(bodies), ~Q(state=Delivery.State.RUNNING))

    def held(self, *, claim_number: int) -> "DeliveryQuerySet":
        """Return deliveries that were not claimed again since this claim number, which fences every result."""
        return self.filter(state=Delivery.State.RUNNING, claim_number=claim_number)

    def release(self, *, claim_number: int, after: timedelta) -> int:
        """Release a claimed delivery without a result or an attempt; it is due again after a while."""
        return self.held(claim_number=claim_number).update(
            state=Delivery.State.RECEIVED,
            not_before=Now() + after,
            lease_until=None,
            leased_by="",
            is_claimed_alone=False,
        )

    def release_all_of(self, task_id: str) -> int:
        """Release all deliveries claimed by a task, without a result."""
        return self.filter(state=Delivery.State.RUNNING, leased_by=task_id).update(
            state=Delivery.State.RECEIVED,
            not_before=Now(),
            lease_until=None,
            leased_by="",
            is_claimed_alone=False,
        )

    def expire_lease(self, *, claim_number: int) -> int:
        """Expire a lease now, so that the delivery is claimed alone next."""
        return self.held(claim_number=claim_number).update(lease_until=Now() - timedelta(seconds=1))

    def fail(self, *, claim_number: int, after: timedelta, reason: str, error: str) -> int:
        """Spend an attempt of a claimed delivery; it is due again after a while.

        One that was too slow, or that could not be recorded, is slow from now on: it never joins a batch again.
        """
        slow = {"is_slow": True} if reason in Delivery.SLOW_REASONS else {}
        return self.held(claim_number=claim_number).update(
            **slow,
            state=Delivery.State.FAILED,
            attempts=F("attempts") + 1,
            not_before=Now() + after,
            reason=reason,
            error=error,
            lease_until=None,
            leased_by="",
            is_claimed_alone=False,
        )

    def settle(self, state: "Delivery.State", *, claim_number: int, reason: str, error: str) -> int:
        """Finish a claimed delivery as dead or quarantined."""
        return self.held(claim_number=claim_number).update(
            state=state,
            attempts=F("attempts") + 1,
            finished_at=Now(),
            reason=reason,
            error=error,
            lease_until=None,
            leased_by="",
            is_claimed_alone=False,
        )

    def replay(self) -> int:
        """Make deliveries due again as if they had just arrived, after all live ones; running ones are skipped.

        Locked first, so that the UPDATE sees what a claim or retention did that it would have had to wait for. That
        the UPDATE looks at bodies is also what makes it wait while retention drops a day: see retention.py.
        """
        with transaction.atomic():
            locked = self.order_by("id").select_for_update(of=("self",)).values_list("id", flat=True)
            return (
                Delivery.objects.filter(id__in=list(locked))
                .replayable()
                .update(
                    state=Delivery.State.RECEIVED,
                    source=Delivery.Source.REPLAY,
                    attempts=0,
                    crashes=0,
                    reason="",
                    error="",
                    not_before=Now(),
                    notified_at=Now(),
                    finished_at=None,
                )
            )


class Delivery(models.Model):
    """A delivery of GitHub, without its body and stored forever; a redelivery repeats its key."""

    class State(models.TextChoices):
        RECEIVED = "received"  # waits for a worker
        RUNNING = "running"  # a worker holds its lease
        PROCESSED = "processed"  # its facts are recorded
        IGNORED = "ignored"  # authentic, and nothing to do
        QUARANTINED = "quarantined"  # authentic, and nothing can be made of it
        FAILED = "failed"  # waits for its next attempt
        DEAD = "dead"  # its attempts are spent, or it kills its workers

    class Source(models.IntegerChoices):
        """The source of a delivery; the order is the order of claims."""

        WEBHOOK = 0
        API = 1
        REPLAY = 2

    UNFINISHED: ClassVar = (State.RECEIVED, State.RUNNING, State.FAILED)
    NEEDS_ATTENTION: ClassVar = (State.QUARANTINED, State.DEAD)
    SLOW_REASONS: ClassVar = ("timed_out", "recording_failed")

    hook_id = models.BigIntegerField()
    guid = models.UUIDField()
    event = models.TextField()
    action = models.TextField(db_default="", blank=True)
    installation_id = models.BigIntegerField(null=True, blank=True)
    repository_id = models.BigIntegerField(null=True, blank=True)
    body_sha256 = models.BinaryField(max_length=32)
    size = models.IntegerField(help_text="bytes of the body")
    source = models.SmallIntegerField(choices=Source.choices, db_default=Source.WEBHOOK)
    signed_by = models.TextField(db_default="", blank=True, help_text="fingerprint of the secret that signed it")

    state = models.TextField(choices=State.choices, db_default=State.RECEIVED)
    reason = models.TextField(db_default="", blank=True, help_text="why it is in this state")
    error = models.TextField(db_default="", blank=True)
    attempts = models.SmallIntegerField(db_default=0, help_text="attempts so far; a replay resets it")
    crashes = models.SmallIntegerField(db_default=0, help_text="workers that crashed while they held it alone")
    claim_number = models.IntegerField(
        db_default=0, help_text="raised by every claim; a worker with an older number cannot store a result"
    )
    is_claimed_alone = models.BooleanField(db_default=False)
    is_slow = models.BooleanField(
        db_default=False, help_text="timed out or could not be recorded: claimed alone, after all others"
    )
    lease_until = models.DateTimeField(null=True, blank=True)
    leased_by = models.TextField(db_default="", blank=True, help_text="the Celery task that holds it")

    received_at = models.DateTimeField(db_default=Now())
    notified_at = models.DateTimeField(db_default=Now(), help_text="when workers were last notified")
    not_before = models.DateTimeField(db_default=Now())
    claimed_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    duplicates = models.IntegerField(db_default=0, help_text="how often its key arrived again")
    is_conflict = models.BooleanField(db_default=False, help_text="its key arrived again with different content")
    is_replayed_body = models.BooleanField(db_default=False, help_text="its body arrived before under another GUID")
    is_sanitised = models.BooleanField(
        db_default=False, help_text="characters that the database cannot store were replaced"
    )

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["guid", "hook_id"], name="a_delivery_has_one_row_per_hook_and_guid"),
            models.CheckConstraint(
                condition=Q(state="running", lease_until__isnull=False) | (~Q(state="running") & Q(lease_until=None)),
                name="a_delivery_holds_a_lease_exactly_while_it_runs",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["processed", "ignored", "quarantined", "dead"], finished_at__isnull=False)
                | Q(state__in=["received", "running", "failed"], finished_at=None),
                name="a_delivery_is_finished_exactly_in_its_last_states",
            ),
        ]
        indexes: ClassVar = [
            # claiming: the oldest due rows, slow ones by themselves; dispatch: the same, not notified for a while
            models.Index(
                fields=["is_slow", "source", "not_before"],
                name="delivery_due",
                condition=Q(state__in=["received", "failed"]),
            ),
            # claiming.claim_batch: which other installations wait behind one that floods us
            models.Index(
                Coalesce("installation_id", 0),
                "source",
                "not_before",
                name="delivery_due_by_installation",
                condition=Q(state__in=["received", "failed"]),
            ),
            # claims.claim_suspect: the expired leases, and those that this task holds already
            models.Index(fields=["lease_until"], name="delivery_running", condition=Q(state="running")),
            # without_effect: the oldest delivery of a repository that has not taken effect
            models.Index(
                fields=["repository_id", "received_at"],
                name="delivery_without_effect",
                condition=~Q(state__in=["processed", "ignored"]),
            ),
            # the ledger of one repository, newest first; overview.latest_received_at
            models.Index(fields=["repository_id", "-id"], name="delivery_of_repository"),
            # the lists of the API and the admin, newest first, by what they can be narrowed by
            models.Index(fields=["event", "-id"], name="delivery_of_event"),
            models.Index(fields=["action", "-id"], name="delivery_of_action", condition=~Q(action="")),
            models.Index(fields=["installation_id", "-id"], name="delivery_of_installation"),
            models.Index(
                fields=["state", "-id"], name="delivery_by_state", condition=~Q(state__in=["received", "running"])
            ),
            models.Index(fields=["reason", "-id"], name="delivery_by_reason", condition=~Q(reason="")),
            models.Index(fields=["source", "-id"], name="delivery_by_source", condition=~Q(source=0)),
            models.Index(fields=["-id"], name="delivery_in_conflict", condition=Q(is_conflict=True)),
            models.Index(fields=["-id"], name="delivery_with_replayed_body", condition=Q(is_replayed_body=True)),
            models.Index(fields=["-id"], name="delivery_sanitised", condition=Q(is_sanitised=True)),
            # processing: did this body come before
            HashIndex(fields=["body_sha256"], name="delivery_body_sha256"),
            # the API's list of a time, newest first; retention: what a day has
            models.Index(fields=["received_at", "id"], name="delivery_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.key}"

    @property
    def key(self) -> str:
        """Return the key, hook and GUID; used in URLs, task ids and logs."""
        return f"{self.hook_id}:{self.guid}"

    @property
    def body(self) -> "DeliveryBody | None":
        """Return the body, or None if it has expired."""
        return DeliveryBody.objects.of([self]).first()


KEPT_DAY = date.max
"""The day of bodies that outlive their own. PostgreSQL has them in a partition that is never dropped."""


def days_of_body(received_at: datetime) -> tuple[date, date]:
    """Return the two days under which the body of a delivery may lie: the day it was received (UTC), and KEPT_DAY."""
    return received_at.astimezone(UTC).date(), KEPT_DAY


class DeliveryBodyQuerySet(models.QuerySet["DeliveryBody"]):
    """Every search names days, so that PostgreSQL opens the partitions of these days and no others."""

    def of(self, deliveries: Iterable[Delivery]) -> "DeliveryBodyQuerySet":
        """Return the bodies of deliveries."""
        received = {delivery.pk: delivery.received_at for delivery in deliveries}
        days = {day for received_at in received.values() for day in days_of_body(received_at)}
        return self.filter(day__in=days, delivery_id__in=list(received))


class DeliveryBody(models.Model):
    """The bytes GitHub signed and the few headers we keep of it; written once.

    The table is partitioned by day (see migration 0004), so that retention drops a day instead of deleting rows. There
    is no foreign key in the database: dropping a partition that has one would lock the table of deliveries.
    """

    pk = models.CompositePrimaryKey("day", "delivery_id")
    day = models.DateField(
        default=KEPT_DAY, help_text="day of receipt, UTC; the last possible date for bodies kept longer"
    )
    delivery = models.ForeignKey(
        Delivery, on_delete=models.CASCADE, db_constraint=False, db_index=False, related_name="+"
    )
    content = models.BinaryField()
    headers = models.JSONField(help_text="only those on the allow-list")

    objects = DeliveryBodyQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "delivery bodies"

    def __str__(self) -> str:
        return f"body of delivery {self.delivery_id}"


class OtherBody(models.Model):
    """Another body with the key of a delivery; a worker compares it with the first."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, db_index=False)
    body_sha256 = models.BinaryField(max_length=32)
    content = models.BinaryField()
    headers = models.JSONField()
    attempts = models.SmallIntegerField(db_default=0)
    not_before = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        verbose_name_plural = "other bodies"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["delivery", "body_sha256"], name="the_same_other_body_is_compared_once")
        ]

    def __str__(self) -> str:
        return f"other body of delivery {self.delivery_id}"


class Refusal(models.Model):
    """A sample of rejected requests, without bodies; the number of rows is limited."""

    refused_at = models.DateTimeField(db_default=Now())
    status = models.SmallIntegerField()
    reason = models.TextField()
    count = models.IntegerField(help_text="number of rejected requests that this row stands for")
    headers = models.JSONField(help_text="those on the allow-list, of the last request")
    body_sha256 = models.BinaryField(max_length=32, null=True, blank=True)
    size = models.BigIntegerField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.status} {self.reason} x{self.count}"


class WebhookSecretQuerySet(models.QuerySet["WebhookSecret"]):
    """Stored webhook secrets."""

    def live(self) -> "WebhookSecretQuerySet":
        """Return those that may still sign."""
        return self.filter(Q(not_after=None) | Q(not_after__gt=Now()))


class WebhookSecret(models.Model):
    """A secret of the App's webhook, encrypted; a rotation through it needs no restart."""

    label = models.TextField(help_text="name")
    slot = models.TextField(unique=True, help_text="fingerprint that deliveries are stored with")
    encrypted_value = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now())
    not_after = models.DateTimeField(null=True, blank=True, help_text="stops being accepted at this time")
    handed_over_at = models.DateTimeField(
        null=True, blank=True, help_text="when GitHub was last asked to sign with it, unless it surely refused"
    )
    proven_at = models.DateTimeField(null=True, blank=True, help_text="when it first signed a delivery")
    signed_at = models.DateTimeField(null=True, blank=True, help_text="when it last signed one, to a few seconds")
    finished_at = models.DateTimeField(
        null=True, blank=True, help_text="when the rotation to it ended: secrets that stayed then do not reopen it"
    )

    objects = WebhookSecretQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.label} ({self.slot})"

    def is_live(self, *, now: datetime) -> bool:
        return self.not_after is None or self.not_after > now

"""Notes to users, their subscriptions, outgoing webhooks, the messages that are sent, and alerts."""

import base64
import secrets
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.contrib.auth.models import AnonymousUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from apps.common.encryption import decrypt, encrypt
from apps.jobs.models import Job, JobQuerySet
from apps.teams.models import Team, TeamAccess
from apps.users.models import CustomUser

SECRET_PREFIX = "whsec_"  # noqa: S105  as Standard Webhooks writes a secret
KEPT_FOR = timedelta(days=30)


class NotificationQuerySet(models.QuerySet["Notification"]):
    """Notes, filtered by user."""

    def visible_to(self, user: CustomUser | AnonymousUser) -> "NotificationQuerySet":
        """Return the notes to this user; nobody else sees them, not even an operator."""
        return self.filter(user_id=user.pk)

    def unread(self) -> "NotificationQuerySet":
        """Return the unread notes."""
        return self.filter(read_at=None)

    def mark_read(self) -> int:
        """Mark the unread notes as read and return how many."""
        return self.unread().update(read_at=Now())


class Notification(models.Model):
    """A note to a user, shown in the dashboard."""

    user = models.ForeignKey(CustomUser, on_delete=models.CASCADE, related_name="notifications")
    message = models.TextField()
    created_at = models.DateTimeField(db_default=Now())
    read_at = models.DateTimeField(null=True, blank=True)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            # the unread notes of a user
            models.Index(fields=["user"], name="notification_unread", condition=models.Q(read_at=None)),
        ]

    def __str__(self) -> str:
        return self.message[:80]


class Topic(models.TextChoices):
    """A subject that people and channels choose to be notified of."""

    DIGEST = "digest", "Weekly digest"
    SILENCE = "silence", "No deliveries"
    FAILED_NIGHTS = "failed_nights", "Failed reconciliation"
    STUCK = "stuck", "Stuck pull requests"


ALERTS = (Topic.SILENCE, Topic.FAILED_NIGHTS, Topic.STUCK)
ALERTS_OF_OPERATORS = (Topic.SILENCE, Topic.FAILED_NIGHTS)
"""The alerts about the whole instance."""


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    """Subscriptions, as far as their users may still see the team."""

    def entitled(self, team: Team | None) -> "SubscriptionQuerySet":
        """Return those of active users who may see the team; without a team, those of operators."""
        allowed = Q(user__is_superuser=True)
        if team is not None and team.is_approved:
            allowed |= Q(user__in=TeamAccess.objects.filter(team=team).values("user"))
        return self.filter(allowed, team=team, user__is_active=True)


class Subscription(models.Model):
    """A user's choice to be notified of a topic of a team; without a team, of the whole instance (operators)."""

    user = models.ForeignKey(CustomUser, on_delete=models.CASCADE, db_index=False, related_name="subscriptions")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, null=True, blank=True, related_name="subscriptions")
    topic = models.TextField(choices=Topic.choices)
    by_note = models.BooleanField(default=False, help_text="in the dashboard; not for the digest")
    by_mail = models.BooleanField(default=False)
    changed_at = models.DateTimeField(db_default=Now(), help_text="a digest that was due before is not sent")

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "team", "topic"], name="a_user_subscribes_to_a_topic_once", nulls_distinct=False
            ),
        ]

    def __str__(self) -> str:
        return f"{self.topic} of {self.team or 'the instance'} for {self.user}"

    @classmethod
    def choose(cls, user: Any, team: Team | None, topic: Topic, *, by_note: bool, by_mail: bool) -> None:
        """Store how the user is notified of the topic; a choice that changes nothing keeps its time."""
        own, _ = cls.objects.get_or_create(user=user, team=team, topic=topic)
        if (own.by_note, own.by_mail) != (by_note, by_mail):
            cls.objects.filter(pk=own.pk).update(by_note=by_note, by_mail=by_mail, changed_at=Now())


def new_secret() -> str:
    """Return a new secret to sign webhooks with, as Standard Webhooks writes it."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


class Channel(models.Model):
    """A webhook that a team has its messages sent to; without a team, one of the instance.

    The address is stored encrypted and never shown whole: Slack's is a secret itself.
    """

    class Kind(models.TextChoices):
        SLACK = "slack", "Slack-compatible"
        SIGNED = "signed", "Signed JSON"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, null=True, blank=True, related_name="channels")
    name = models.CharField(max_length=100)
    kind = models.TextField(choices=Kind.choices)
    encrypted_url = models.BinaryField(editable=False)
    encrypted_secret = models.BinaryField(editable=False, null=True)
    shown_url = models.TextField(editable=False, help_text="without what may be secret")
    topics = ArrayField(models.TextField(choices=Topic.choices), default=list, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering: ClassVar = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def url(self) -> str:
        """Return the address; UndecryptableError if its key is lost."""
        return decrypt(self.encrypted_url)

    @url.setter
    def url(self, url: str) -> None:
        self.encrypted_url = encrypt(url)
        self.shown_url = shorten_url(url)

    @property
    def secret(self) -> str:
        """Return what messages are signed with; empty for a kind that is not signed."""
        return decrypt(self.encrypted_secret) if self.encrypted_secret else ""

    @secret.setter
    def secret(self, secret: str) -> None:
        self.encrypted_secret = encrypt(secret)


def shorten_url(url: str) -> str:
    """Return scheme and host alone: the rest may be secret."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{'/…' if parts.path.strip('/') or parts.query else '/'}"


class MessageQuerySet(JobQuerySet[Any]):
    """Messages, each queued once."""

    def prune(self) -> int:
        """Delete those that ended long ago; return how many."""
        old = self.filter(finished_at__lt=Now() - KEPT_FOR)
        return old.delete()[1].get(self.model._meta.label, 0)


class MailMessage(Job):
    """The job that sends one e-mail to one user. `key` is the local part of its Message-ID."""

    KIND: ClassVar = "send_mail"

    user = models.ForeignKey(CustomUser, on_delete=models.CASCADE, db_index=False, related_name="+")
    about = models.TextField(help_text="what it is about: of that, a user gets one message")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    topic = models.TextField(choices=Topic.choices)
    subject = models.TextField()
    text = models.TextField()
    html = models.TextField(blank=True, db_default="")

    objects = MessageQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "about"], name="a_user_gets_one_mail_about_something"),
        ]

    def __str__(self) -> str:
        return f"{self.subject} to {self.user}"


class WebhookMessage(Job):
    """The job that sends one message to one channel. `key` is the delivery id that the receiver sees."""

    KIND: ClassVar = "send_webhook"

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, db_index=False, related_name="messages")
    about = models.TextField(help_text="what it is about: of that, a channel gets one message")
    event = models.TextField(help_text="such as digest or alert.opened")
    document = models.JSONField(help_text="what is sent, as JSON")
    status = models.SmallIntegerField(null=True, blank=True, help_text="the last answer's HTTP status")

    objects = MessageQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["channel", "about"], name="a_channel_gets_one_message_about_something"),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.channel}"


class Alert(models.Model):
    """Something that is wrong, notified of once when it begins and once when it is over."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, null=True, blank=True, related_name="alerts")
    topic = models.TextField(choices=Topic.choices)
    key = models.TextField(blank=True, db_default="", help_text="which of several, such as a pull request's id")
    words = models.TextField()
    opened_at = models.DateTimeField(db_default=Now())
    over_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["team", "topic", "key"],
                condition=Q(over_at=None),
                name="an_alert_is_open_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(over_at=None) | Q(over_at__gte=F("opened_at")), name="an_alert_is_over_after_it_began"
            ),
        ]

    def __str__(self) -> str:
        return self.words[:80]


class AlertThreshold(models.Model):
    """How long a pull request of the team may wait before it counts as stuck for alerts."""

    MOST_DAYS: ClassVar = 365

    team = models.OneToOneField(Team, on_delete=models.CASCADE, primary_key=True, related_name="alert_threshold")
    stuck_days = models.PositiveSmallIntegerField(default=7)

    def __str__(self) -> str:
        return f"{self.stuck_days} days for {self.team}"

    @classmethod
    def days_of(cls, team: Team) -> int:
        """Return after how many days a pull request of the team is stuck."""
        return (cls.objects.filter(team=team).first() or cls()).stuck_days

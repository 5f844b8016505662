"""Notes to users."""

from typing import ClassVar

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models.functions import Now

from apps.users.models import CustomUser


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

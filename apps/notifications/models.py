"""Notes to people who sign in here."""

from typing import ClassVar

from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models.functions import Now

from apps.users.models import CustomUser


class NotificationQuerySet(models.QuerySet["Notification"]):
    """Notes, as far as a person may see them."""

    def visible_to(self, user: CustomUser | AnonymousUser) -> "NotificationQuerySet":
        """Those addressed to this person: a note is nobody else's, not even an operator's."""
        return self.filter(user_id=user.pk)

    def unread(self) -> "NotificationQuerySet":
        """Those nobody has marked as read."""
        return self.filter(read_at=None)

    def mark_read(self) -> int:
        """Mark as read what is not yet; how many that were."""
        return self.unread().update(read_at=Now())


class Notification(models.Model):
    """A note to one user, shown on the pages for people."""

    user = models.ForeignKey(CustomUser, on_delete=models.CASCADE, related_name="notifications")
    message = models.TextField()
    created_at = models.DateTimeField(db_default=Now())
    read_at = models.DateTimeField(null=True, blank=True)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            # what one user has not read yet
            models.Index(fields=["user"], name="notification_unread", condition=models.Q(read_at=None)),
        ]

    def __str__(self) -> str:
        return self.message[:80]

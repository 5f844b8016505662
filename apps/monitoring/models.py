"""What the watch found, each time it looked."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class StatusCheck(models.Model):
    """One look at the instance: what is wrong, by stable words; nothing is an empty list."""

    checked_at = models.DateTimeField(db_default=Now(), db_index=True)
    problems = ArrayField(models.TextField(), default=list, blank=True)
    explanations = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return ", ".join(self.problems) or "healthy"

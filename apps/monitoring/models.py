"""The results of status checks."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class StatusCheck(models.Model):
    """One status check: the problems found, by stable names; an empty list if there are none."""

    checked_at = models.DateTimeField(db_default=Now(), db_index=True)
    problems = ArrayField(models.TextField(), default=list, blank=True)
    explanations = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return ", ".join(self.problems) or "healthy"

"""How far the listing of each installation's repositories has come, and what it waits for."""

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from apps.activity.models import Installation
from apps.integrations.models.backfills import LEASE


class ListingQuerySet(models.QuerySet["Listing"]):
    """Every change of state is one guarded UPDATE; the row count says whether it happened."""

    def waiting(self, *, at: Any = Now()) -> "ListingQuerySet":  # noqa: B008  an expression, not a time
        """Those that nobody may claim now: a worker is at it, or their wait is not over."""
        return self.filter(Q(not_before__gt=at) | Q(lease_until__gte=at))

    def claim(self) -> int:
        """Take those that do not wait."""
        free = self.filter(Q(lease_until=None) | Q(lease_until__lt=Now()), not_before__lte=Now())
        return free.update(lease_until=Now() + LEASE, claim_number=F("claim_number") + 1)

    def held(self, *, claim_number: int) -> "ListingQuerySet":
        """Those that nobody claimed since the claim of this number."""
        return self.filter(claim_number=claim_number, lease_until__isnull=False)


class Listing(models.Model):
    """The listing of an installation: one row, used again and again."""

    installation = models.OneToOneField(Installation, on_delete=models.CASCADE, primary_key=True, related_name="+")
    not_before = models.DateTimeField(db_default=Now())
    claim_number = models.IntegerField(db_default=0, help_text="only grows; the fence of everything that is kept")
    lease_until = models.DateTimeField(null=True, blank=True)
    attempts = models.SmallIntegerField(db_default=0, help_text="failures since a listing last came to its end")
    error = models.TextField(db_default="", blank=True, help_text="GitHub's words")

    began_at = models.DateTimeField(db_default=Now(), help_text="what happened until then, this listing shows")
    cursor = models.TextField(db_default="", blank=True, help_text="where it goes on; empty at its start")
    seen = ArrayField(models.BigIntegerField(), default=list, blank=True, help_text="what it showed so far")
    total = models.IntegerField(null=True, blank=True, help_text="how many there are, as its first page said")
    missing = ArrayField(
        models.BigIntegerField(), default=list, blank=True, help_text="what an earlier reading did not show"
    )

    objects = ListingQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return f"listing of installation {self.installation_id}"

    @property
    def goes_on(self) -> bool:
        """Whether its last task stopped in the middle, and waits for nothing."""
        return bool(self.cursor) and self.lease_until is None and self.not_before <= timezone.now()

"""What is due for so long that nobody seems to look after it: a queue that no worker empties shows here."""

from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now

from apps.github.credentials import app_credentials, has_credentials
from apps.integrations.installations import due_installations
from apps.integrations.models import Backfill
from apps.jobs.models import Job

LONG = timedelta(minutes=15)


def count_overdue_backfills() -> int:
    """Walks that were due all this time, while no walk at all went on, ended or was put off."""
    stirred = Backfill.objects.filter(
        Q(advanced_at__gt=Now() - LONG)
        | Q(finished_at__gt=Now() - LONG)
        | Q(lease_until__gt=Now() - LONG)
        | (Q(state=Backfill.State.WAITING, not_before__gt=Now() - LONG) & ~Q(reason=""))
    )
    due = Backfill.objects.filter(state=Backfill.State.WAITING, not_before__lt=Now() - LONG)
    count = due.count()
    return 0 if count and stirred.exists() else count


def count_overdue_listings() -> int:
    """Installations that are due to be listed, and were all this time; none where GitHub cannot be asked."""
    if not has_credentials():
        return 0
    return due_installations(app_id=app_credentials().app_id, for_as_long_as=LONG).count()


def count_lapsed_leases() -> int:
    """What a worker held when it died, and nobody took over since."""
    lapsed = Q(lease_until__lt=Now() - LONG)
    return Job.objects.filter(lapsed, state=Job.State.RUNNING).count()

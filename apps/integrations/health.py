"""Work that is due for so long that no worker seems to serve its queue."""

from datetime import datetime, timedelta

from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from apps.github.credentials import app_credentials, has_credentials
from apps.integrations.delivery_log.scan_job import why
from apps.integrations.installations import due_installations
from apps.integrations.models import Backfill, DeliveryLogScan, MissedDelivery
from apps.jobs.models import Job

LONG = timedelta(minutes=15)
SCAN_IS_LATE_AFTER = timedelta(hours=2)
REPORTED_FOR = timedelta(days=7)
MANY_GIVEN_UP = 10


def count_overdue_backfills() -> int:
    """Count backfills that were due all this time, while no backfill at all continued, ended or was put off."""
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


def count_expired_leases() -> int:
    """Count the jobs of workers that died, which no worker took over since."""
    expired = Q(lease_until__lt=Now() - LONG)
    return Job.objects.filter(expired, state=Job.State.RUNNING).count()


def scan_problems() -> dict[str, str]:
    """Return the problems of the delivery log scan by a stable name, each with an explanation."""
    found = {}
    row = DeliveryLogScan.objects.order_by("-planned_at").first()
    if row is not None:
        found = {**late_scan(row), **truncated_log(row)}
    given_up = MissedDelivery.objects.filter(
        state=MissedDelivery.State.GIVEN_UP, has_effect=True, noted_at__gt=Now() - REPORTED_FOR
    ).count()
    if given_up > MANY_GIVEN_UP:
        found["missed_deliveries_given_up"] = (
            f"{given_up} deliveries that failed at GitHub could not be recovered: the admin's Missed deliveries "
            "says why. Reconciliation repairs what they would have changed."
        )
    return found


def late_scan(row: DeliveryLogScan) -> dict[str, str]:
    """Report a scan that does not finish long before GitHub deletes its log, which it does after three days."""
    last_at = row.read_at or row.created_at
    if last_at > timezone.now() - SCAN_IS_LATE_AFTER:
        return {}
    since = f"was last read whole {_shown(last_at)}" if row.read_at else "was never read whole"
    reason = f"{why(row)}." if why(row) else "do beat and a worker run?"
    return {"delivery_log_scan_is_late": f"GitHub's log of deliveries {since}: {reason}"}


def truncated_log(row: DeliveryLogScan) -> dict[str, str]:
    if row.truncated_at is None or row.truncated_at < timezone.now() - REPORTED_FOR:
        return {}
    between = f"between {_shown(row.truncated_from)} and {_shown(row.truncated_to)}"
    words = (
        f"What GitHub delivered {between} was no longer in its log: what is missing of it only reconciliation finds."
    )
    return {"delivery_log_truncated": words}


def _shown(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"

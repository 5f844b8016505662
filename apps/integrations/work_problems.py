"""Problems of the work in this app: what is overdue, the delivery log scan and reconciliation."""

from datetime import datetime, timedelta

from django.db.models import Min, Q
from django.db.models.functions import Now
from django.utils import timezone

from apps.github.credentials import app_credentials, has_credentials
from apps.integrations.delivery_log.scan_job import why
from apps.integrations.listed_installations import due_installations
from apps.integrations.models import Backfill, DeliveryLogScan, MissedDelivery, SyncLog
from apps.integrations.reconciliation.schedule import NIGHTLY, database_time, synced_teams
from apps.jobs.models import Job

LONG = timedelta(minutes=15)
SCAN_IS_LATE_AFTER = timedelta(hours=2)
REPORTED_FOR = timedelta(days=7)
MANY_GIVEN_UP = 10
NIGHT_IS_LATE_AFTER = timedelta(hours=26)
"""A night is a day after the one before it, and may take two hours."""
UNTOUCHED, STUCK = timedelta(minutes=30), timedelta(hours=12)


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


def reconciliation_problems() -> dict[str, str]:
    """Return the problems of reconciliation by a stable name, each with an explanation; none without credentials."""
    return {**_late_night(), **_stuck_runs()} if has_credentials() else {}


def _late_night() -> dict[str, str]:
    since = _without_success_since()
    if since is None or since > database_time() - NIGHT_IS_LATE_AFTER:
        return {}
    last = SyncLog.objects.filter(scope=NIGHTLY, finished_at__isnull=False).first()
    why = f" The last one failed: {last.error}" if last is not None and last.error else " Do beat and a worker run?"
    words = f"No nightly reconciliation has succeeded since {since:%Y-%m-%d %H:%M} UTC.{why}"
    return {"reconciliation_is_late": words}


def _without_success_since() -> datetime | None:
    """Return when the last night succeeded, else when the first one was due; None if no team is compared."""
    nights = SyncLog.objects.filter(scope=NIGHTLY)
    last = nights.filter(status=SyncLog.Status.COMPLETED).order_by("-pk").values_list("finished_at", flat=True).first()
    begun = nights.aggregate(first=Min("created_at"))["first"]
    teams: datetime | None = synced_teams().aggregate(first=Min("created_at"))["first"]
    return (last or begun or teams) if teams is not None else None


def _stuck_runs() -> dict[str, str]:
    is_untouched = Q(is_fanned_out=False, not_before__lt=Now() - UNTOUCHED)
    stuck = SyncLog.objects.unfinished().filter(is_untouched | Q(not_before__lt=Now() - STUCK))
    names = list(stuck.order_by("pk").values_list("sync_id", flat=True)[:3])
    if not names:
        return {}
    words = f"Reconciliation does not come to an end: {', '.join(names)}. Do workers serve the queues?"
    return {"reconciliation_is_stuck": f"{words} `manage.py reconcile --list` shows how it stands."}

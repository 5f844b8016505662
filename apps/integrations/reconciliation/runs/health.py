"""What is wrong with reconciliation as a whole, for whoever runs the instance."""

from datetime import datetime, timedelta

from django.db.models import Min, Q
from django.db.models.functions import Now

from apps.github.credentials import has_credentials
from apps.integrations.models import SyncLog
from apps.integrations.reconciliation.runs.opening import database_time, synced_teams
from apps.integrations.reconciliation.runs.scopes import NIGHTLY

LATE = timedelta(hours=26)
"""A night is a day after the one before it, and may take two hours."""
UNTOUCHED, STUCK = timedelta(minutes=30), timedelta(hours=12)


def reconciliation_problems() -> dict[str, str]:
    """What is wrong, by a stable word, explained; nothing where GitHub cannot be asked at all."""
    return {**_late_night(), **_stuck_runs()} if has_credentials() else {}


def _late_night() -> dict[str, str]:
    since = _without_success_since()
    if since is None or since > database_time() - LATE:
        return {}
    last = SyncLog.objects.filter(scope=NIGHTLY, finished_at__isnull=False).first()
    why = f" The last one failed: {last.error}" if last is not None and last.error else " Do beat and a worker run?"
    words = f"No nightly reconciliation has succeeded since {since:%Y-%m-%d %H:%M} UTC.{why}"
    return {"reconciliation_is_late": words}


def _without_success_since() -> datetime | None:
    """When the last night succeeded, else when the first was to; None where there is nobody to compare for."""
    nights = SyncLog.objects.filter(scope=NIGHTLY)
    last = nights.filter(status=SyncLog.Status.COMPLETED).order_by("-pk").values_list("finished_at", flat=True).first()
    begun = nights.aggregate(first=Min("created_at"))["first"]
    teams: datetime | None = synced_teams().aggregate(first=Min("created_at"))["first"]
    return (last or begun or teams) if teams is not None else None


def _stuck_runs() -> dict[str, str]:
    is_untouched = Q(is_spread=False, not_before__lt=Now() - UNTOUCHED)
    stuck = SyncLog.objects.unfinished().filter(is_untouched | Q(not_before__lt=Now() - STUCK))
    names = list(stuck.order_by("pk").values_list("sync_id", flat=True)[:3])
    if not names:
        return {}
    words = f"Reconciliation does not come to an end: {', '.join(names)}. Do workers serve the queues?"
    return {"reconciliation_is_stuck": f"{words} `manage.py reconcile --list` shows how it stands."}

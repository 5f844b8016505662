"""The status check: find problems that an operator should know of."""

from datetime import timedelta

from django.db.models import Min
from django.db.models.functions import Now
from django.utils import timezone

from apps.activity.models import Change
from apps.integrations.access import describe, lacking_installations
from apps.integrations.delivery_log.scan_health import scan_problems
from apps.integrations.health import count_lapsed_leases, count_overdue_backfills, count_overdue_listings
from apps.integrations.models import StreamCount
from apps.integrations.reconciliation.run_status import reconciliation_problems
from apps.monitoring.models import StatusCheck
from apps.monitoring.probes import probe_broker, probe_secret
from apps.webhooks import overview, retention
from apps.webhooks.models import Delivery

LONGEST_LAG_S = 120.0
LONGEST_STALE_S = 300.0
LONGEST_RETENTION_DELAY_S = 6 * 3600.0
KEPT_FOR = timedelta(days=7)
MASS_DELETION_FOR = timedelta(days=2)


def run_check() -> tuple[StatusCheck, frozenset[str]]:
    """Store a new check and return it with the problems that the previous check did not find."""
    before = StatusCheck.objects.first()
    found = find_problems()
    kept = StatusCheck.objects.create(problems=sorted(found), explanations=found)
    StatusCheck.objects.filter(checked_at__lt=Now() - KEPT_FOR).delete()
    return kept, frozenset(found) - frozenset(before.problems if before else ())


def find_problems() -> dict[str, str]:
    """Return the problems by a stable name, each with an explanation."""
    return {
        **inbox_problems(),
        **recalculation_problems(),
        **probe_problems(),
        **scan_problems(),
        **mass_deletions(),
        **reconciliation_problems(),
        **reading_problems(),
        **permission_problems(),
        **retention_problems(),
    }


def inbox_problems() -> dict[str, str]:
    inbox = overview.look()
    problems = {}
    if inbox.lag_s > LONGEST_LAG_S:
        problems["deliveries_wait"] = f"A delivery has been due for {inbox.lag_s:.0f} s. Is a worker running?"
    stuck = sum(inbox.states[state] for state in Delivery.NEEDS_ATTENTION)
    if stuck:
        problems["deliveries_need_attention"] = (
            f"{stuck} deliveries are dead or quarantined. Fix the cause, then replay."
        )
    return problems


def recalculation_problems() -> dict[str, str]:
    return {**stale_figures(), **failing_changes()}


def failing_changes() -> dict[str, str]:
    """Report changes whose recalculation failed even alone."""
    failing = Change.objects.filter(recorded_at__gt=Now()).count()
    if not failing:
        return {}
    return {"changes_fail": f"{failing} changes fail repeatedly; see change_failed in the log."}


def mass_deletions() -> dict[str, str]:
    """Report streams that lost so much at GitHub at once that nothing was marked as deleted."""
    since = Now() - MASS_DELETION_FOR
    found = StreamCount.objects.filter(outcome=StreamCount.Outcome.MASS, repository_sync__created_at__gt=since)
    repositories = found.order_by().values("repository_sync__repository").distinct().count()
    if not repositories:
        return {}
    words = f"GitHub suddenly lacks much of the data of {repositories} repositories; nothing was marked as deleted"
    return {"mass_deletions": f"{words}. See Stream counts with the outcome mass in the admin."}


def stale_figures() -> dict[str, str]:
    oldest = Change.objects.aggregate(oldest=Min("recorded_at"))["oldest"]
    age_s = (timezone.now() - oldest).total_seconds() if oldest else 0.0
    if age_s <= LONGEST_STALE_S:
        return {}
    return {"figures_are_stale": f"A change has waited {age_s:.0f} s for its figures. Is a worker running?"}


def probe_problems() -> dict[str, str]:
    findings = {"no_webhook_secret": probe_secret(), "broker_down": probe_broker()}
    return {
        name: finding.explanation or f"The {finding.name} is {finding.word}."
        for name, finding in findings.items()
        if not finding.is_good
    }


def reading_problems() -> dict[str, str]:
    """Report work at GitHub that has been due for long and that no worker runs."""
    backfills, listings, leases = count_overdue_backfills(), count_overdue_listings(), count_lapsed_leases()
    problems = {}
    if backfills:
        problems["backfills_wait"] = f"{backfills} backfills are due. Is a worker of the queue backfill running?"
    if listings:
        words = f"{listings} installations are due to be listed. Is a worker of the queue backfill running?"
        problems["listings_wait"] = words
    if leases:
        problems["leases_expired"] = f"{leases} leases expired and no worker picked them up. Are workers running?"
    return problems


def permission_problems() -> dict[str, str]:
    """Report accounts that did not grant all permissions and events, by the last listing of installations."""
    lacking = lacking_installations()
    if not lacking:
        return {}
    words = (
        f"{describe(lacking)}. This data does not arrive. README lists what is needed; `manage.py doctor` checks again."
    )
    return {"permissions_missing": words}


def retention_problems() -> dict[str, str]:
    """Report bodies that should have expired long ago and fill the disk."""
    delay_s = retention.measure_delay_s()
    if delay_s <= LONGEST_RETENTION_DELAY_S:
        return {}
    words = f"Delivery bodies should have expired {delay_s / 3600:.0f} h ago and fill up the disk"
    return {
        "retention_is_behind": f"{words}. Is a worker of the queue maintenance running? Is a transaction left open?"
    }

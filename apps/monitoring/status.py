"""Is anything wrong that somebody should know of?"""

from datetime import timedelta

from django.db.models import Min
from django.db.models.functions import Now
from django.utils import timezone

from apps.activity.models import Change
from apps.integrations.access import describe, lacking_installations
from apps.integrations.delivery_log.health import scan_problems
from apps.integrations.health import count_lapsed_leases, count_overdue_backfills, count_overdue_listings
from apps.integrations.models import StreamCount
from apps.integrations.reconciliation.status import reconciliation_problems
from apps.monitoring.models import StatusCheck
from apps.monitoring.probes import probe_broker, probe_secret
from apps.webhooks import overview, retention
from apps.webhooks.models import Delivery

LONGEST_LAG_S = 120.0
LONGEST_STALE_S = 300.0
LONGEST_RETENTION_DELAY_S = 6 * 3600.0
KEPT_FOR = timedelta(days=7)
UNBELIEVED_FOR = timedelta(days=2)


def check() -> tuple[StatusCheck, frozenset[str]]:
    """Look, keep what was found, and return it with the problems that the look before had not found."""
    before = StatusCheck.objects.first()
    found = find_problems()
    kept = StatusCheck.objects.create(problems=sorted(found), explanations=found)
    StatusCheck.objects.filter(checked_at__lt=Now() - KEPT_FOR).delete()
    return kept, frozenset(found) - frozenset(before.problems if before else ())


def find_problems() -> dict[str, str]:
    """What is wrong, by a stable word, explained."""
    return {
        **inbox_problems(),
        **recalculation_problems(),
        **probe_problems(),
        **scan_problems(),
        **unbelieved_deletions(),
        **reconciliation_problems(),
        **reading_problems(),
        **permission_problems(),
        **retention_problems(),
    }


def inbox_problems() -> dict[str, str]:
    standing = overview.look()
    problems = {}
    if standing.lag_s > LONGEST_LAG_S:
        problems["deliveries_wait"] = f"A delivery has been due for {standing.lag_s:.0f} s: does a worker run?"
    stuck = sum(standing.states[state] for state in Delivery.NEEDS_SOMEBODY)
    if stuck:
        problems["deliveries_need_somebody"] = f"{stuck} deliveries are dead or quarantined; look and replay them."
    return problems


def recalculation_problems() -> dict[str, str]:
    return {**stale_figures(), **failing_changes()}


def failing_changes() -> dict[str, str]:
    """Changes set aside, as deriving anew what they name failed when they were alone."""
    failing = Change.objects.filter(recorded_at__gt=Now()).count()
    if not failing:
        return {}
    return {"changes_fail": f"{failing} changes fail again and again: the log's change_failed says why."}


def unbelieved_deletions() -> dict[str, str]:
    """Streams of which so much is gone from GitHub at once that nothing was marked as deleted."""
    since = Now() - UNBELIEVED_FOR
    found = StreamCount.objects.filter(outcome=StreamCount.Outcome.MASS, repository_sync__created_at__gt=since)
    repositories = found.order_by().values("repository_sync__repository").distinct().count()
    if not repositories:
        return {}
    words = f"Much of {repositories} repositories is gone from GitHub at once, and was not marked as deleted"
    return {"deletions_not_believed": f"{words}: see Stream counts with the outcome mass in the admin."}


def stale_figures() -> dict[str, str]:
    oldest = Change.objects.aggregate(oldest=Min("recorded_at"))["oldest"]
    age_s = (timezone.now() - oldest).total_seconds() if oldest else 0.0
    if age_s <= LONGEST_STALE_S:
        return {}
    return {"figures_are_stale": f"A change has waited {age_s:.0f} s for its figures: does a worker run?"}


def probe_problems() -> dict[str, str]:
    findings = {"no_webhook_secret": probe_secret(), "broker_down": probe_broker()}
    return {
        name: finding.explanation or f"The {finding.name} is {finding.word}."
        for name, finding in findings.items()
        if not finding.is_good
    }


def reading_problems() -> dict[str, str]:
    """What is due at GitHub for long, and looked after by nobody."""
    walks, listings, leases = count_overdue_backfills(), count_overdue_listings(), count_lapsed_leases()
    problems = {}
    if walks:
        words = f"Walks through history ({walks}) are due, and none goes on: does a worker serve the queue backfill?"
        problems["walks_wait"] = words
    if listings:
        words = f"Installations ({listings}) are due to be listed: does a worker serve the queue maintenance?"
        problems["listings_wait"] = words
    if leases:
        problems["leases_lapsed"] = f"What dead workers held ({leases}) was taken over by nobody: do workers run?"
    return problems


def permission_problems() -> dict[str, str]:
    """Accounts that do not let the App see or hear all that we handle; what the listing of installations kept."""
    lacking = lacking_installations()
    if not lacking:
        return {}
    words = f"{describe(lacking)}. What is missing never arrives; README names all, `manage.py doctor` looks anew."
    return {"permissions_missing": words}


def retention_problems() -> dict[str, str]:
    """Bodies that ought to have expired long ago: the disk fills up."""
    delay_s = retention.measure_delay_s()
    if delay_s <= LONGEST_RETENTION_DELAY_S:
        return {}
    words = f"Bodies should have expired {delay_s / 3600:.0f} h ago and are still there: the disk fills up"
    return {"retention_is_behind": f"{words}. Does a worker serve the queue maintenance, does a transaction stay open?"}

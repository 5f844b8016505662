"""Readiness: probes of what storing a delivery needs. Status: problems that an operator should know of."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Min
from django.db.models.functions import Now
from django.utils import timezone
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.activity.models import Change
from apps.common import db
from apps.integrations.models import StreamCount
from apps.integrations.readable_installations import describe, lacking_installations
from apps.integrations.work_problems import (
    count_expired_leases,
    count_overdue_backfills,
    count_overdue_listings,
    reconciliation_problems,
    scan_problems,
)
from apps.metrics.models import RebuildDifference
from apps.monitoring.models import StatusCheck
from apps.webhooks import inbox_overview, intake, retention
from apps.webhooks.models import Delivery
from apps.webhooks.signature import active_secrets

LONGEST_PROBE_S = 2.0
SHOWN_MIGRATIONS = 5
LONGEST_LAG_S = 120.0
LONGEST_STALE_S = 300.0
LONGEST_RETENTION_DELAY_S = 6 * 3600.0
KEPT_FOR = timedelta(days=7)
MASS_DELETION_FOR = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a probe: one word for everybody, an explanation for operators."""

    name: str
    is_good: bool
    word: str
    explanation: str = ""


def probe_database() -> Finding:
    """Probe that PostgreSQL answers, accepts writes, and did not just fail to store deliveries."""
    try:
        with db.limit(seconds=LONGEST_PROBE_S), connection.cursor() as cursor:
            cursor.execute("SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool")
            (is_read_only,) = cursor.fetchone()
    except DatabaseError as error:
        return Finding("database", is_good=False, word="down", explanation=type(error).__name__)
    if is_read_only:
        words = "It is read-only: a standby, or configured so. Point DATABASE_URL at the primary."
        return Finding("database", is_good=False, word="read-only", explanation=words)
    if intake.are_failing():
        words = "The latest deliveries could not be stored. See delivery_not_stored in the log, and `manage.py doctor`."
        return Finding("database", is_good=False, word="failing", explanation=words)
    return Finding("database", is_good=True, word="up")


def probe_migrations() -> Finding:
    """Probe that every migration of this version is applied."""
    try:
        with db.limit(seconds=LONGEST_PROBE_S):
            pending = known_migrations() - set(MigrationRecorder(connection).applied_migrations())
    except DatabaseError as error:
        return Finding("migrations", is_good=False, word="unknown", explanation=type(error).__name__)
    if pending:
        names = ", ".join(".".join(key) for key in sorted(pending)[:SHOWN_MIGRATIONS])
        words = f"{len(pending)} to apply: {names}. Run `manage.py migrate`."
        return Finding("migrations", is_good=False, word="pending", explanation=words)
    return Finding("migrations", is_good=True, word="applied")


def probe_secret() -> Finding:
    """Probe that there is an active webhook secret."""
    try:
        with db.limit(seconds=LONGEST_PROBE_S):
            count = len(active_secrets())
    except DatabaseError as error:
        return Finding("secret", is_good=False, word="unknown", explanation=type(error).__name__)
    if not count:
        words = "Set GITHUB_WEBHOOK_SECRETS, or add a webhook secret in the admin."
        return Finding("secret", is_good=False, word="missing", explanation=words)
    return Finding("secret", is_good=True, word="present", explanation=f"{count} active")


def probe_broker() -> Finding:
    """Probe Redis; without it deliveries are still stored, and processed later."""
    redis = Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=LONGEST_PROBE_S / 2,
        socket_connect_timeout=LONGEST_PROBE_S / 2,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        with redis:
            redis.ping()
    except RedisError as error:
        return Finding("broker", is_good=False, word="down", explanation=type(error).__name__)
    return Finding("broker", is_good=True, word="up")


REQUIRED: tuple[Callable[[], Finding], ...] = (probe_database, probe_migrations, probe_secret)


def run_probes() -> list[Finding]:
    """Return the findings of all probes; those that need the database are skipped if it is down."""
    findings = [REQUIRED[0]()]
    if findings[0].is_good:
        findings += [probe() for probe in REQUIRED[1:]]
    return [*findings, probe_broker()]


def is_ready(findings: list[Finding]) -> bool:
    """Return whether a delivery would be stored; the broker is not needed for that."""
    return all(finding.is_good for finding in findings if finding.name != "broker")


@cache
def known_migrations() -> frozenset[tuple[str, str]]:
    """Return the migrations of this version."""
    return frozenset(MigrationLoader(None).graph.nodes)


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
        **sample_problems(),
        **probe_problems(),
        **scan_problems(),
        **mass_deletions(),
        **reconciliation_problems(),
        **reading_problems(),
        **permission_problems(),
        **retention_problems(),
    }


def inbox_problems() -> dict[str, str]:
    inbox = inbox_overview.look()
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


def sample_problems() -> dict[str, str]:
    """Report derived rows that differed from their facts in a nightly sample and were not rebuilt since."""
    found = RebuildDifference.objects.filter(settled_at=None)
    count, repositories = found.count(), found.values("repository").distinct().count()
    if not count:
        return {}
    words = f"{count} derived rows of {repositories} repositories are not what their facts make of them"
    return {"figures_differ": f"{words}. See Rebuild differences in the admin; `manage.py rebuild_figures` repairs it."}


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
    backfills, listings, leases = count_overdue_backfills(), count_overdue_listings(), count_expired_leases()
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

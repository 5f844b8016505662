"""Checks of the work: deliveries, figures, backfills, listings, and the scheduled jobs."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Sum
from django.db.models.functions import Now
from django.utils import timezone

from apps.common import db
from apps.github.credentials import has_credentials
from apps.integrations.models import Backfill, DeliveryLogScan, SyncLog
from apps.integrations.work_problems import (
    count_expired_leases,
    count_overdue_backfills,
    count_overdue_listings,
    late_scan,
    truncated_log,
)
from apps.metrics.figures.formatting import duration
from apps.metrics.models import RebuildSample
from apps.monitoring.doctor.checks import Check, failure, ok, unchecked, warning
from apps.monitoring.models import StatusCheck
from apps.monitoring.status import inbox_problems, recalculation_problems, sample_problems
from apps.webhooks import inbox_overview
from apps.webhooks.models import Delivery, Refusal
from apps.webhooks.signature import active_secrets

NAMES = (
    "deliveries",
    "signatures",
    "figures",
    "history",
    "waiting work",
    "status check",
    "delivery log",
    "nightly run",
)
LONGEST_S = 4.0
CHECK_WORKERS = "Check that a worker is running (above), and its log."
KEYLESS = "Needs the App's private key: see github credentials below."
CHECK_EVERY = timedelta(minutes=15)
NIGHTLY_WITHIN = timedelta(hours=26)
RECENTLY = timedelta(hours=1)


def check_work() -> Iterator[Check]:
    """Check the tables of durable work."""
    with db.limit(seconds=LONGEST_S):
        yield check_deliveries()
        yield check_signatures()
        yield check_figures()
        yield check_history()
        yield check_waiting_work()
        yield check_status_check(StatusCheck.objects.first(), now=timezone.now())
        if not has_credentials():
            yield unchecked("delivery log", KEYLESS)
            yield unchecked("nightly run", KEYLESS)
            return
        yield check_delivery_log(DeliveryLogScan.objects.order_by("-planned_at").first())
        yield check_nightly_run(SyncLog.objects.filter(cause=SyncLog.Cause.NIGHTLY).first(), now=timezone.now())


def check_deliveries() -> Check:
    """Check for deliveries that wait too long, are dead or quarantined."""
    problems = inbox_problems()
    inbox = inbox_overview.look()
    unfinished = sum(inbox.states[state] for state in Delivery.UNFINISHED)
    found = f"{unfinished:,} unfinished; the oldest has been due for {duration(inbox.lag_s)}."
    if "deliveries_wait" in problems:
        return failure("deliveries", found, CHECK_WORKERS)
    stuck = sum(inbox.states[state] for state in Delivery.NEEDS_ATTENTION)
    if stuck:
        advice = "The admin shows the reason of each (Deliveries). Fix it, then run `manage.py replay`."
        return warning("deliveries", f"{stuck:,} dead or quarantined. {found}", advice)
    return ok("deliveries", found)


def check_signatures() -> Check:
    """Check that deliveries are signed with a known secret; the secret at GitHub cannot be read."""
    refused = Refusal.objects.filter(reason="bad_signature", refused_at__gt=Now() - RECENTLY)
    count = refused.aggregate(count=Sum("count"))["count"] or 0
    newest = Delivery.objects.filter(source=Delivery.Source.WEBHOOK).first()
    name, advice = (
        "signatures",
        "Put the webhook secret of the App into GITHUB_WEBHOOK_SECRETS and restart the web process.",
    )
    if newest is None:
        if count:
            return failure(name, f"{count:,} rejected in the last hour, and none ever accepted.", advice)
        return unchecked(name, "No delivery has arrived yet.")
    ago = duration((timezone.now() - newest.received_at).total_seconds())
    if newest.signed_by and newest.signed_by not in {slot.name for slot in active_secrets()}:
        return warning(
            name, f"The last delivery, {ago} ago, was signed with a secret that is no longer configured.", advice
        )
    if count:
        return warning(name, f"{count:,} rejected in the last hour; the last accepted one arrived {ago} ago.", advice)
    return ok(name, f"The last delivery, {ago} ago, was signed with a configured secret.")


def check_figures() -> Check:
    """Check that no change waits for long, and that what was derived again at night was the same."""
    problems = recalculation_problems()
    if problems:
        return failure("figures", " ".join(problems.values()), CHECK_WORKERS)
    if differing := sample_problems():
        return warning("figures", *differing["figures_differ"].split(". ", 1))
    last = RebuildSample.objects.filter(finished_at__isnull=False).first()
    if last is None:
        return ok("figures", "Up to date.")
    compared = f"{last.compared:,} entities of {last.repositories:,} repositories were derived again"
    return ok("figures", f"Up to date. On {last.night} {compared}; nothing differs.")


def check_history() -> Check:
    """Check for failed backfills."""
    unfinished = Backfill.objects.unfinished().count()
    newest = Backfill.objects.order_by("repository_id", "stream", "-pk").distinct("repository_id", "stream")
    failed = Backfill.objects.filter(pk__in=newest.values("pk"), state=Backfill.State.FAILED).count()
    found = f"Backfills: {unfinished:,} unfinished, {failed:,} failed."
    if failed:
        return warning(
            "history", found, "`manage.py backfill --list --all` shows the reasons. Fix them, then run it with --retry."
        )
    return ok("history", found)


def check_waiting_work() -> Check:
    """Check for work that has been due for long and that no worker runs."""
    counts = {
        "backfills": count_overdue_backfills(),
        "listings of installations": count_overdue_listings(),
        "expired leases": count_expired_leases(),
    }
    found = [f"{words} ({count:,})" for words, count in counts.items() if count]
    if found:
        return failure(
            "waiting work", f"Due for more than 15 minutes and not running: {', '.join(found)}.", CHECK_WORKERS
        )
    return ok("waiting work", "Nothing is overdue.")


def check_status_check(last: StatusCheck | None, *, now: datetime) -> Check:
    """Check the last status check, which needs beat and a worker."""
    if last is None:
        return unchecked("status check", "It has not run yet; it runs every 15 minutes.")
    ago = now - last.checked_at
    words = f"It ran {duration(ago.total_seconds())} ago"
    if ago > 3 * CHECK_EVERY:
        return failure(
            "status check", f"{words}; it should run every 15 minutes.", "See beat and queue maintenance above."
        )
    if last.problems:
        return warning("status check", f"{words} and found: {', '.join(last.problems)}.", "See Status in the admin.")
    return ok("status check", f"{words} and found no problems.")


def check_delivery_log(row: DeliveryLogScan | None) -> Check:
    """Check the scan of GitHub's delivery log, which recovers missed deliveries."""
    if row is None:
        return unchecked(
            "delivery log", "GitHub's delivery log was not scanned yet; beat starts a scan within a minute."
        )
    if found := late_scan(row):
        return failure("delivery log", " ".join(found.values()), "Run `manage.py scan_deliveries` to scan it now.")
    if found := truncated_log(row):
        return warning(
            "delivery log", " ".join(found.values()), "Run `manage.py reconcile --all` to compare everything now."
        )
    if row.read_at is None:
        return unchecked("delivery log", "GitHub's delivery log is being scanned for the first time.")
    ago = duration((timezone.now() - row.read_at).total_seconds())
    return ok("delivery log", f"GitHub's delivery log was scanned completely {ago} ago.")


def check_nightly_run(last: SyncLog | None, *, now: datetime) -> Check:
    """Check the nightly reconciliation, which starts at 02:00 UTC."""
    if last is None:
        return unchecked("nightly run", "None yet; it starts at 02:00 UTC.")
    words = f"{last.sync_id} {last.status}, started {duration((now - last.created_at).total_seconds())} ago."
    if last.status == SyncLog.Status.FAILED:
        advice = "The next run covers what failed; the admin shows where it failed."
        return warning("nightly run", f"{words} {last.error}".rstrip(), advice)
    if now - last.created_at > NIGHTLY_WITHIN:
        return warning("nightly run", words, "See beat and queue maintenance above.")
    return ok("nightly run", words)

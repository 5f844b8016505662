"""How the work stands: deliveries, figures, walks, listings, and what looks after them by itself."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Sum
from django.db.models.functions import Now
from django.utils import timezone

from apps.common import db
from apps.github.credentials import has_credentials
from apps.integrations.delivery_log.health import late_scan, truncated_log
from apps.integrations.health import count_lapsed_leases, count_overdue_backfills, count_overdue_listings
from apps.integrations.models import Backfill, DeliverySweep, SyncLog
from apps.metrics.figures.formatting import duration
from apps.monitoring.doctor.checks import Check, unchecked, warning, well, wrong
from apps.monitoring.models import StatusCheck
from apps.monitoring.status import inbox_problems, recalculation_problems
from apps.webhooks import overview
from apps.webhooks.models import Delivery, Refusal
from apps.webhooks.signature import active_secrets

NAMES = ("deliveries", "signatures", "figures", "history", "waiting work", "the watch", "sweep", "nightly run")
LONGEST_S = 4.0
DOES_NOT_WORK = "See whether a worker listens (above), and what its log says."
KEYLESS = "There is none without the App's key: see github credentials, below."
WATCH_EVERY = timedelta(minutes=15)
NIGHT = timedelta(hours=26)
RECENTLY = timedelta(hours=1)


def examine_standing() -> Iterator[Check]:
    """What the tables tell."""
    with db.limit(seconds=LONGEST_S):
        yield look_at_deliveries()
        yield look_at_signatures()
        yield look_at_figures()
        yield look_at_history()
        yield look_at_waiting_work()
        yield judge_watch(StatusCheck.objects.first(), now=timezone.now())
        if not has_credentials():
            yield unchecked("sweep", KEYLESS)
            yield unchecked("nightly run", KEYLESS)
            return
        yield judge_scan(DeliverySweep.objects.order_by("-ticked_at").first())
        yield judge_night(SyncLog.objects.filter(cause=SyncLog.Cause.NIGHTLY).first(), now=timezone.now())


def look_at_deliveries() -> Check:
    """What waits too long, and what needs somebody."""
    problems = inbox_problems()
    standing = overview.look()
    unfinished = sum(standing.states[state] for state in Delivery.UNFINISHED)
    found = f"{unfinished:,} unfinished; the longest due for {duration(standing.lag_s)}."
    if "deliveries_wait" in problems:
        return wrong("deliveries", found, DOES_NOT_WORK)
    stuck = sum(standing.states[state] for state in Delivery.NEEDS_SOMEBODY)
    if stuck:
        advice = "`manage.py inbox` counts them, the admin shows why; mend it, then `manage.py replay`."
        return warning("deliveries", f"{stuck:,} dead or quarantined. {found}", advice)
    return well("deliveries", found)


def look_at_signatures() -> Check:
    """Whether what arrives is signed by a secret that we have: the secret at GitHub cannot be read back."""
    refused = Refusal.objects.filter(reason="bad_signature", refused_at__gt=Now() - RECENTLY)
    count = refused.aggregate(count=Sum("count"))["count"] or 0
    newest = Delivery.objects.filter(source=Delivery.Source.WEBHOOK).first()
    name, advice = "signatures", "Put the secret of the App's webhook into GITHUB_WEBHOOK_SECRETS, and restart web."
    if newest is None:
        if count:
            return wrong(name, f"{count:,} refused in the last hour, and none was ever accepted.", advice)
        return unchecked(name, "No delivery has come yet.")
    ago = duration((timezone.now() - newest.received_at).total_seconds())
    if newest.signed_by and newest.signed_by not in {slot.name for slot in active_secrets()}:
        return warning(name, f"The last delivery, {ago} ago, was signed by a secret that is no more here.", advice)
    if count:
        return warning(name, f"{count:,} refused in the last hour; the last accepted came {ago} ago.", advice)
    return well(name, f"The last delivery, {ago} ago, was signed by a secret of ours.")


def look_at_figures() -> Check:
    problems = recalculation_problems()
    if problems:
        return wrong("figures", " ".join(problems.values()), DOES_NOT_WORK)
    return well("figures", "They follow the facts.")


def look_at_history() -> Check:
    """How many walks are read, and which somebody must look at."""
    unfinished = Backfill.objects.unfinished().count()
    newest = Backfill.objects.order_by("repository_id", "stream", "-pk").distinct("repository_id", "stream")
    failed = Backfill.objects.filter(pk__in=newest.values("pk"), state=Backfill.State.FAILED).count()
    found = f"Walks: {unfinished:,} unfinished, {failed:,} failed."
    if failed:
        return warning("history", found, "`manage.py backfill --list --all` says why; mend it, then --retry.")
    return well("history", found)


def look_at_waiting_work() -> Check:
    """What is due for long and taken by nobody."""
    counts = {
        "walks through history": count_overdue_backfills(),
        "installations to be listed": count_overdue_listings(),
        "what dead workers held": count_lapsed_leases(),
    }
    found = [f"{words} ({count:,})" for words, count in counts.items() if count]
    if found:
        return wrong("waiting work", f"Due for a quarter of an hour, and nobody's: {', '.join(found)}.", DOES_NOT_WORK)
    return well("waiting work", "Nothing is due for long.")


def judge_watch(last: StatusCheck | None, *, now: datetime) -> Check:
    """The look that beat has a worker take every 15 minutes: both live if it was taken."""
    if last is None:
        return unchecked("the watch", "It has not looked yet; it does every 15 minutes.")
    ago = now - last.checked_at
    words = f"It looked {duration(ago.total_seconds())} ago"
    if ago > 3 * WATCH_EVERY:
        return wrong("the watch", f"{words}; it should every 15 minutes.", "See beat and the queue maintenance, above.")
    if last.problems:
        return warning("the watch", f"{words} and found: {', '.join(last.problems)}.", "See the admin, under Status.")
    return well("the watch", f"{words} and found nothing.")


def judge_scan(row: DeliverySweep | None) -> Check:
    """The walk through GitHub's log of deliveries, which brings back what was missed."""
    if row is None:
        return unchecked("sweep", "GitHub's log of deliveries was not looked at yet; beat has it done within a minute.")
    if found := late_scan(row):
        return wrong("sweep", " ".join(found.values()), "`manage.py sweep_deliveries` does it now and says how.")
    if found := truncated_log(row):
        return warning("sweep", " ".join(found.values()), "`manage.py reconcile --all` compares everything now.")
    if row.finished_at is None:
        return unchecked("sweep", "GitHub's log of deliveries is being walked for the first time.")
    ago = duration((timezone.now() - row.finished_at).total_seconds())
    return well("sweep", f"GitHub's log of deliveries was walked whole {ago} ago.")


def judge_night(last: SyncLog | None, *, now: datetime) -> Check:
    """The comparison of everything with GitHub, which begins at 02:00 UTC."""
    if last is None:
        return unchecked("nightly run", "There was none yet; it begins at 02:00 UTC.")
    words = f"{last.sync_id} {last.status}, begun {duration((now - last.created_at).total_seconds())} ago."
    if last.status == SyncLog.Status.FAILED:
        advice = "The next one makes it up; the admin says where it failed."
        return warning("nightly run", f"{words} {last.error}".rstrip(), advice)
    if now - last.created_at > NIGHT:
        return warning("nightly run", words, "See beat and the queue maintenance, above.")
    return well("nightly run", words)

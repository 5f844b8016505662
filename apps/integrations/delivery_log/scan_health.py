"""How the sweep stands: what it found, what it waits for, and what somebody should know of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Min, Q
from django.db.models.functions import Now
from django.utils import timezone

from apps.integrations.models import DeliveryLogScan, MissedDelivery
from apps.webhooks import overview
from apps.webhooks.signature import active_secrets

LONGEST_LAG_S = 60.0
INBOX_LAGS, NO_SECRET = "inbox_lags", "no_webhook_secret"


def why_not_now() -> str:
    """Why the sweep has to wait, as one word; empty where nothing speaks against it."""
    if overview.look().lag_s > LONGEST_LAG_S:
        return INBOX_LAGS
    if settings.SWEEP_REDELIVERS and not active_secrets():
        return NO_SECRET  # the door would refuse what we ask for
    return ""


LATE_AFTER = timedelta(hours=2)
REPORTED_FOR = timedelta(days=7)
MANY_GIVEN_UP = 10
WORDS = {
    INBOX_LAGS: "the inbox is behind: more would not help it",
    NO_SECRET: "there is no webhook secret that a redelivery could be signed with",
    "blocked": "GitHub: slow down",
    "spent": "the hour's limit is spent",
    "busy": "others ask GitHub right now",
    "app_refused": "GitHub refuses the App: is its key right, and the clock?",
    "forbidden": "GitHub forbids it",
    "gone": "GitHub knows no such log: is the App's id right?",
    "rejected": "GitHub refuses the request",
    "unanswered": "GitHub does not answer",
    "hook_unknown": "GitHub does not tell to which hook it delivered",
    "shape_mismatch": "GitHub's answer has another shape than expected",
    "no_credentials": "the App's key cannot be read",
    "database": "the database was away",
    "timed_out": "it took longer than a task may",
}
State, Road = MissedDelivery.State, MissedDelivery.Road


def as_sentence(words: str) -> str:
    """Return the words with a capital and a full stop."""
    return f"{words[0].upper()}{words[1:]}{'' if words.endswith('?') else '.'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What became of the deliveries that were missed, counted."""

    missing: int
    fetched: int
    redelivered: int
    came: int
    asked: int
    waiting: int
    given_up: int
    next_at: datetime | None
    """When the next one that waits is tried again."""


def found_since(moment: datetime) -> Found:
    """What was noted as missing, came back or was given up since then; and whatever is still to come."""
    is_new = Q(noted_at__gte=moment)
    is_back = Q(state=State.KEPT, kept_at__gte=moment)
    counted = MissedDelivery.objects.filter(is_new | is_back | ~Q(state=State.KEPT)).aggregate(
        missing=Count("pk", filter=is_new),
        fetched=Count("pk", filter=is_back & Q(road=Road.FETCHED)),
        redelivered=Count("pk", filter=is_back & Q(road=Road.REDELIVERED)),
        came=Count("pk", filter=is_back & Q(road=Road.CAME)),
        asked=Count("pk", filter=Q(state=State.ASKED)),
        waiting=Count("pk", filter=Q(state=State.WAITING)),
        given_up=Count("pk", filter=is_new & Q(state=State.GIVEN_UP)),
        next_at=Min("not_before", filter=Q(state__in=MissedDelivery.OPEN)),
    )
    return Found(**counted)


def why(row: DeliveryLogScan) -> str:
    """What the sweep waits for, in words; empty where that is nothing but its time."""
    told = WORDS.get(row.reason, row.reason)
    return f"{told} ({row.error})" if told and row.error else told or row.error


def scan_problems() -> dict[str, str]:
    """What is wrong with the sweep, by a stable word, explained."""
    found = {}
    row = DeliveryLogScan.objects.order_by("-planned_at").first()
    if row is not None:
        found = {**late_scan(row), **truncated_log(row)}
    given_up = MissedDelivery.objects.filter(
        state=State.GIVEN_UP, has_effect=True, noted_at__gt=Now() - REPORTED_FOR
    ).count()
    if given_up > MANY_GIVEN_UP:
        found["missed_deliveries_given_up"] = (
            f"{given_up} deliveries that failed at GitHub could not be recovered: the admin's Missed deliveries "
            "says why. Reconciliation repairs what they told of."
        )
    return found


def late_scan(row: DeliveryLogScan) -> dict[str, str]:
    """GitHub forgets its log after three days: a sweep that does not get through must be seen long before."""
    last_at = row.read_at or row.created_at
    if last_at > timezone.now() - LATE_AFTER:
        return {}
    since = f"was last walked whole {_shown(last_at)}" if row.read_at else "was never walked whole"
    reason = f"{why(row)}." if why(row) else "do beat and a worker run?"
    return {"delivery_sweep_is_late": f"GitHub's log of deliveries {since}: {reason}"}


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

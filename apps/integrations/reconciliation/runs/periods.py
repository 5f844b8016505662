"""Which periods are due: pure functions of the time, which is the database's wherever it matters.

Only the latest of a kind is ever due: a run compares everything, so several that were missed are made up for by one.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

NIGHT_BEGINS = timedelta(hours=2)
"""After midnight, UTC."""


@dataclass(frozen=True, slots=True)
class Period:
    """A time at which something was to be compared; `key` names it for good."""

    key: str
    due_at: datetime


def due_night(now: datetime) -> Period:
    """The last night that has begun: at 02:00 UTC."""
    now = now.astimezone(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    due_at = midnight + NIGHT_BEGINS
    if due_at > now:
        due_at -= timedelta(days=1)
    return Period(f"{due_at:%Y-%m-%d}", due_at)


def due_hour(now: datetime) -> Period:
    """The last full hour, UTC."""
    due_at = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return Period(f"{due_at:%Y-%m-%dT%H}", due_at)


def next_night(now: datetime) -> Period:
    """The next night that begins."""
    return due_night(now + timedelta(days=1))


def next_hour(now: datetime) -> Period:
    """The next full hour, UTC."""
    return due_hour(now + timedelta(hours=1))


def is_of_night(hour: Period) -> bool:
    """Whether the night begins in this hour: it compares whatever the hour would."""
    return due_night(hour.due_at).due_at == hour.due_at

"""Retries of failed deliveries, and the classification of errors. Pure."""

from dataclasses import dataclass
from datetime import timedelta

from django.db import DataError

from apps.common.db import (
    DEADLOCK_DETECTED,
    DISK_FULL,
    LOCK_NOT_AVAILABLE,
    QUERY_CANCELED,
    READ_ONLY,
    is_database_unavailable,
    sqlstate_of,
)
from apps.jobs.outcomes import Backoff

BACKOFF = Backoff(first_s=10.0, longest_s=4 * 3600.0, growth=3.0)
MOST_ATTEMPTS = 7  # the last one comes about an hour after the first
ENVIRONMENT_WAIT = timedelta(seconds=5)
_PROGRAM_LIMIT_EXCEEDED = "54000"  # such as a value too long for the index that its column has


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The delivery is due again after this time."""

    after: timedelta


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No attempts are left."""


def decide(*, attempts: int, chance: float) -> TryAgain | GiveUp:
    """Return what follows the attempt with this number (from 1); `chance` in 0…1 spreads the waits."""
    if attempts >= MOST_ATTEMPTS:
        return GiveUp()
    return TryAgain(after=timedelta(seconds=BACKOFF.wait_s(attempts - 1, chance=chance)))


def is_infrastructure_error(error: BaseException) -> bool:
    """Return whether an error would have affected any delivery; a slow statement may be this delivery's fault."""
    return is_database_unavailable(error, but_for={QUERY_CANCELED})


def lost_a_lock(error: BaseException) -> bool:
    """Return whether another transaction held a row for too long, which is not the delivery's fault."""
    return sqlstate_of(error) in (LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED)


def may_be_provoked(error: BaseException) -> bool:
    """Return whether an infrastructure error may be caused by one delivery, if the database answers others.

    One statement can want more memory than there is, or take its server process down. None fills a disk.
    """
    return sqlstate_of(error) not in (READ_ONLY, DISK_FULL)


def is_data_error(error: BaseException) -> bool:
    """Return whether a retry cannot help: a value that no column or index can hold."""
    return isinstance(error, DataError) or sqlstate_of(error) == _PROGRAM_LIMIT_EXCEEDED

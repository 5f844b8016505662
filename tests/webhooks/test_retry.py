"""The decision to try again, as a table."""

from datetime import timedelta

import psycopg
import pytest
from django.db import DatabaseError, DataError, InterfaceError, OperationalError
from psycopg import errors

from apps.common.db import DatabaseTimeoutError
from apps.webhooks.retry import MOST_ATTEMPTS, GiveUp, TryAgain, decide, is_infrastructure_error

WAITS_S = {1: 10, 2: 30, 3: 90, 4: 270, 5: 810, 6: 2430}


@pytest.mark.parametrize(("attempts", "wait_s"), WAITS_S.items())
def test_each_wait_is_three_times_the_last(attempts: int, wait_s: int) -> None:
    assert decide(attempts=attempts, chance=0.5) == TryAgain(after=timedelta(seconds=wait_s))


@pytest.mark.parametrize(("chance", "wait_s"), [(0, 8), (1, 12)])
def test_waits_are_spread_by_a_fifth(chance: float, wait_s: int) -> None:
    step = decide(attempts=1, chance=chance)
    assert isinstance(step, TryAgain)
    assert step.after.total_seconds() == pytest.approx(wait_s)


@pytest.mark.parametrize("attempts", [MOST_ATTEMPTS, MOST_ATTEMPTS + 1])
def test_attempts_are_bounded(attempts: int) -> None:
    assert decide(attempts=attempts, chance=0.5) == GiveUp()


def caused(error: DatabaseError | InterfaceError, cause: Exception | None) -> Exception:
    error.__cause__ = cause
    return error


INFRASTRUCTURE = {
    "connection lost": (caused(OperationalError(), psycopg.OperationalError()), True),
    "connection closed": (caused(InterfaceError(), psycopg.InterfaceError()), True),
    "administrator": (caused(OperationalError(), errors.AdminShutdown()), True),
    "starting up": (caused(OperationalError(), errors.CannotConnectNow()), True),
    "disk full": (caused(OperationalError(), errors.DiskFull()), True),
    "too many connections": (caused(OperationalError(), errors.TooManyConnections()), True),
    "read-only": (caused(DatabaseError(), errors.ReadOnlySqlTransaction()), True),
    "statement too long": (caused(OperationalError(), errors.QueryCanceled()), False),
    "deadlock": (caused(OperationalError(), errors.DeadlockDetected()), False),
    "serialization": (caused(OperationalError(), errors.SerializationFailure()), False),
    "value": (caused(DataError(), errors.NumericValueOutOfRange()), False),
    "own time limit, without a cause": (DatabaseTimeoutError(), True),
    "a bug": (RuntimeError(), False),
}


@pytest.mark.parametrize(("error", "is_environment"), INFRASTRUCTURE.values(), ids=INFRASTRUCTURE)
def test_only_what_would_meet_any_delivery_is_the_environment(error: Exception, is_environment: bool) -> None:
    assert is_infrastructure_error(error) is is_environment

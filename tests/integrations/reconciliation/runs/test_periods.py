"""Which period is due at a time: the last that has begun, and never more than one."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from apps.integrations.reconciliation.schedule import due_hour, due_night, is_of_night


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "night"),
    [
        ("03-02T01:59:59", "2026-03-01"),
        ("03-02T02:00:00", "2026-03-02"),
        ("03-02T23:59:59", "2026-03-02"),
        ("03-03T00:30:00", "2026-03-02"),
        ("01-01T01:00:00", "2025-12-31"),
    ],
)
def test_a_night_begins_at_two_and_is_due_until_the_next(now: str, night: str) -> None:
    period = due_night(at(now))
    assert period.key == night
    assert (period.due_at.hour, period.due_at <= at(now) < period.due_at + timedelta(days=1)) == (2, True)


def test_the_clock_is_read_in_utc_wherever_it_stands() -> None:
    berlin = timezone(timedelta(hours=1))
    assert due_night(datetime(2026, 3, 2, 2, 30, tzinfo=berlin)).key == "2026-03-01"
    assert due_hour(datetime(2026, 3, 2, 2, 30, tzinfo=berlin)).key == "2026-03-02T01"


def test_an_hour_is_due_from_its_beginning() -> None:
    assert due_hour(at("03-02T13:59:59")).key == "2026-03-02T13"
    assert due_hour(at("03-02T14:00:00")).due_at == at("03-02T14:00:00")


def test_only_the_hour_of_two_is_the_nights() -> None:
    assert [hour for hour in range(24) if is_of_night(due_hour(at(f"03-02T{hour:02}:10:00")))] == [2]

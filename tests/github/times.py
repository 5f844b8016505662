"""Instants of 2026, written as METRICS writes them."""

from datetime import UTC, datetime


def at(day: str, time: str) -> datetime:
    """`at("03-02", "09:00")`: an instant of 2026 in UTC."""
    return datetime.fromisoformat(f"2026-{day}T{time}:00+00:00").astimezone(UTC)

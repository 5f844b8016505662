"""Formatting of values for people."""

MINUTE, HOUR, DAY = 60, 3600, 86400
NO_VALUE = "\N{EN DASH}"
PER_DAY = "deployments per day"


def as_words(value: float | None, *, unit: str) -> str:
    """Return a value as text: durations in days, hours and minutes, shares in percent, a dash for None."""
    if value is None:
        return NO_VALUE
    match unit:
        case "seconds":
            return duration(value)
        case "share":
            return f"{value:.0%}"
        case unit if unit == PER_DAY:
            return f"{value:.2f}"
        case _:
            return f"{value:,.0f}"


def unit_beside(unit: str, *, value: float | None = None) -> str:
    """Return the unit to show after the value; empty where the value already has it."""
    match unit:
        case "seconds" | "share":
            return ""
        case unit if unit == PER_DAY:
            return "per day"
        case _:
            return unit.removesuffix("s") if value == 1 else unit


def duration(seconds: float) -> str:
    """Return the two largest units of a duration."""
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} m {whole % MINUTE:02} s"
    if whole < 2 * DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE:02} m"
    return f"{whole // DAY} d {whole % DAY // HOUR:02} h"

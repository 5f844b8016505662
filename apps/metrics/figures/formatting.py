"""Formatting of values for people."""

from collections.abc import Sequence

MINUTE, HOUR, DAY = 60, 3600, 86400
NO_VALUE = "\N{EN DASH}"


def as_words(value: float | None, *, unit: str) -> str:
    """Return a value as text: durations in days, hours and minutes, shares in percent, a dash for None."""
    if value is None:
        return NO_VALUE
    match unit:
        case "seconds":
            return duration(value)
        case "share":
            return f"{value:.0%}"
        case _ if is_rate(unit):
            return f"{value:.2f}"
        case _:
            return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def is_rate(unit: str) -> bool:
    """Return whether values of the unit are fractions of counts."""
    return unit == "ratio" or " per " in unit


def unit_beside(unit: str, *, value: float | None = None) -> str:
    """Return the unit to show after the value; empty where the value already has it."""
    match unit:
        case "seconds" | "share" | "ratio":
            return ""
        case _ if is_rate(unit):
            return f"per {unit.partition(' per ')[2]}"
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


BARS = "▁▂▃▄▅▆▇"


def sparkline(values: Sequence[float | None]) -> str:
    """Return a bar for each value, from 0 to the greatest; a space where there is none."""
    most = max((value for value in values if value is not None), default=0.0)
    return "".join(
        " " if value is None else BARS[round((value / most if most else 0) * (len(BARS) - 1))] for value in values
    )

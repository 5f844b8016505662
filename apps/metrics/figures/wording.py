"""Values as people read them."""

MINUTE, HOUR, DAY = 60, 3600, 86400
NO_VALUE = "-"


def as_words(value: float | None, *, unit: str) -> str:
    """A value in words: durations in days, hours and minutes, shares in percent; a dash where there is none."""
    if value is None:
        return NO_VALUE
    match unit:
        case "seconds":
            return duration(value)
        case "share":
            return f"{value:.0%}"
        case "deployments per day":
            return f"{value:.4f}"
        case _:
            return f"{value:g}"


def duration(seconds: float) -> str:
    """The two greatest parts of it."""
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} m {whole % MINUTE:02} s"
    if whole < 2 * DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE:02} m"
    return f"{whole // DAY} d {whole % DAY // HOUR:02} h"

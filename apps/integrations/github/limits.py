"""What an answer says of a rate limit, and of its own time. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

CORE, GRAPHQL = "core", "graphql"
LONGEST_WINDOW_S = 24 * 3600.0
"""A reset further away than this is not one: GitHub's windows last an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """One resource's budget as GitHub told it; the reset is a distance, so that no two clocks must agree."""

    resource: str
    limit: int
    remaining: int
    resets_in_s: float


def rate_limit(headers: Mapping[str, str], *, resource: str, now: datetime) -> RateLimit | None:
    """The budget that the headers tell; None means that nothing limits us, as on an Enterprise Server without limits.

    `resource` stands where the headers do not name one: older servers do not.
    """
    limit, remaining = number(headers, "x-ratelimit-limit"), number(headers, "x-ratelimit-remaining")
    if not limit or remaining is None:
        return None
    return RateLimit(
        resource=headers.get("x-ratelimit-resource") or resource,
        limit=limit,
        remaining=max(0, remaining),
        resets_in_s=resets_in_s(headers, now=now),
    )


def resets_in_s(headers: Mapping[str, str], *, now: datetime) -> float:
    """How long until the window ends, at least a second: by GitHub's own clock where the answer tells it."""
    reset = number(headers, "x-ratelimit-reset")
    if reset is None:
        return 60.0
    told_at = answered_at(headers) or now
    return min(max(1.0, reset - told_at.timestamp()), LONGEST_WINDOW_S)


def retry_after_s(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """How long GitHub asks us to wait, in seconds or as a date; at least a second, None where it does not ask."""
    given = headers.get("retry-after", "").strip()
    if given.isdigit() and given.isascii():
        return min(max(1.0, float(given[:9])), LONGEST_WINDOW_S)
    moment = http_date(given)
    if moment is None:
        return None
    told_at = answered_at(headers) or now
    return min(max(1.0, (moment - told_at).total_seconds()), LONGEST_WINDOW_S)


def answered_at(headers: Mapping[str, str]) -> datetime | None:
    """GitHub's `Date` of the answer."""
    return http_date(headers.get("date", ""))


def http_date(text: str) -> datetime | None:
    """A date as HTTP writes it, in UTC."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def number(headers: Mapping[str, str], name: str) -> int | None:
    """An integer; some servers write it as a float (PyGithub#2697)."""
    try:
        return int(float(headers[name]))
    except (KeyError, ValueError, OverflowError):
        return None

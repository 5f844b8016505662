"""What one exchange with GitHub came to. Pure: a status, headers and a body (or none of them) in, a verdict out.

PyGithub's own judgement is not used: it sleeps, it repeats a page that is too large, and it throws partial data away.
"""

import enum
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from apps.common.redaction import redact

Path = tuple[str | int, ...]


def has_unexplained_null(data: Any, *, explained: Set[Path]) -> bool:
    """Whether some `nodes` (or the list itself) is null although no error names it or what is in it."""
    return any(not _is_explained(path, explained) for path in null_nodes(data))


def null_nodes(data: Any, *, path: Path = ()) -> Iterator[Path]:
    """The path of every null in a list called `nodes`, and of every such list that is null itself."""
    if isinstance(data, Mapping):
        for name, value in data.items():
            if name == "nodes" and value is None:
                yield (*path, name)
            else:
                yield from null_nodes(value, path=(*path, name))
    elif isinstance(data, list):
        for place, value in enumerate(data):
            if value is None and path[-1:] == ("nodes",):
                yield (*path, place)
            else:
                yield from null_nodes(value, path=(*path, place))


def _is_explained(path: Path, explained: Set[Path]) -> bool:
    """An error below a non-null field empties its parents up to the first that may be null."""
    return any(known[: len(path)] == path for known in explained)


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


class Kind(enum.Enum):
    """What became of a request."""

    OK = enum.auto()
    """All that was asked for."""
    PARTIAL = enum.auto()
    """GraphQL data with errors; `errors` name the paths that are null because of them."""
    SHRINK = enum.auto()
    """Too much at once: ask again for less, with the same cursor."""
    PRIMARY = enum.auto()
    """The hourly limit is spent until the reset."""
    SECONDARY = enum.auto()
    """Too fast: nothing at all for a while."""
    AUTH = enum.auto()
    """Our token or key was not accepted."""
    FORBIDDEN = enum.auto()
    """We may not see this; asking again changes nothing until somebody changes a permission."""
    GONE = enum.auto()
    """It is not there, or not for us: deleted, transferred, renamed away."""
    REJECTED = enum.auto()
    """The request itself is wrong or asks beyond a cap: never repeat it unchanged."""
    TRANSIENT = enum.auto()
    """Not GitHub's last word: the same request may succeed later."""
    PARKED = enum.auto()
    """Nothing was sent: our own budget said to come back later."""


REFUSALS = frozenset({Kind.GONE, Kind.FORBIDDEN, Kind.REJECTED})
"""GitHub's last word on what was asked: the same question gets the same answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLError:
    """One of the errors beside GraphQL data."""

    type: str
    path: Path
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What an exchange came to. `wait_s` is how long to wait before the next attempt, where GitHub says."""

    kind: Kind
    wait_s: float | None = None
    message: str = ""
    errors: tuple[GraphQLError, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """An answer: header names in lower case; `document` is its JSON, None where the body is none."""

    status: int
    headers: Mapping[str, str]
    document: Any


class Silence(enum.Enum):
    """Why there is no answer, in words."""

    TIMEOUT = "timed out"
    NAME_NOT_FOUND = "name not found"
    REFUSED = "connection refused"
    RESET = "connection reset"
    CONNECT_TIMEOUT = "connecting timed out"
    TLS = "TLS failed"
    CONNECTION = "no connection"
    TOO_LARGE = "too large"
    GARBLED = "garbled"


SECONDARY_S = 60.0
"""GitHub: "wait for at least one minute" when a secondary limit names no time."""

PRIMARY_WORDS = ("api rate limit exceeded", "api rate limit already exceeded")
SECONDARY_WORDS = ("secondary rate limit", "abuse detection", "please wait a few minutes before you try again")
FORBIDDEN_WORDS = ("not accessible", "has been suspended", "saml", "ip allow list", "must have", "been blocked")
LIMITED_TYPES = {"RATE_LIMITED", "RATE_LIMIT"}
TOO_MUCH_TYPES = {"RESOURCE_LIMITS_EXCEEDED", "MAX_NODE_LIMIT_EXCEEDED", "TIMEOUT"}
TOO_MUCH_WORDS = ("something went wrong while executing your query", "timed out", "timeout", "resource limits")
FORBIDDEN_TYPES = {"FORBIDDEN", "INSUFFICIENT_SCOPES", "UNAUTHORIZED", "SAML_ENFORCEMENT"}
EXPLANATIONS = FORBIDDEN_TYPES | {"NOT_FOUND"}
MISSING = {404, 410, 451}
MALFORMED = {400, 405, 406, 409, 411, 412, 413, 414, 415, 422}
TOO_SLOW = {502, 504}
LIMITING = {HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS}
WITHOUT_BODY = {HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT}
"""Good even so: a redelivery that was asked for is accepted. A read that is, the client takes for no answer."""
GOOD, MOVED = range(200, 300), range(300, 400)
LONGEST_MESSAGE = 300


def judge(received: Received | Silence, *, is_graphql: bool, now: datetime) -> Verdict:
    """The verdict on one exchange."""
    if isinstance(received, Silence):
        return _judge_silence(received, is_graphql=is_graphql)
    limited = _judge_limits(received, now=now)
    if limited is not None:
        return limited
    if received.status != HTTPStatus.OK or not is_graphql:
        return _judge_status(received, is_graphql=is_graphql, now=now)
    return _judge_graphql(received, now=now)


def _judge_silence(silence: Silence, *, is_graphql: bool) -> Verdict:
    is_too_much = is_graphql and silence in {Silence.TIMEOUT, Silence.TOO_LARGE}
    return Verdict(kind=Kind.SHRINK if is_too_much else Kind.TRANSIENT, message=f"no answer: {silence.value}")


def _judge_limits(received: Received, *, now: datetime) -> Verdict | None:
    """In GitHub's order of obedience: Retry-After, then a spent limit, then at least a minute."""
    if received.status not in LIMITING:
        return None
    message = message_of(received.document)
    told, asked_s = message.lower(), retry_after_s(received.headers, now=now)
    if asked_s is not None or any(word in told for word in SECONDARY_WORDS):
        return Verdict(kind=Kind.SECONDARY, wait_s=asked_s, message=message)
    is_spent = number(received.headers, "x-ratelimit-remaining") == 0
    is_refusal = received.status == HTTPStatus.FORBIDDEN and any(word in told for word in FORBIDDEN_WORDS)
    # The last good call of a window shows 0 as well: words come before the header.
    if any(word in told for word in PRIMARY_WORDS) or (is_spent and not is_refusal):
        return Verdict(kind=Kind.PRIMARY, wait_s=resets_in_s(received.headers, now=now), message=message)
    return Verdict(kind=Kind.SECONDARY, message=message) if received.status == HTTPStatus.TOO_MANY_REQUESTS else None


def _judge_status(received: Received, *, is_graphql: bool, now: datetime) -> Verdict:
    status, message = received.status, message_of(received.document)
    is_good = status in WITHOUT_BODY or (status in GOOD and received.document is not None)
    if is_good and not is_graphql:
        return Verdict(kind=Kind.OK)
    if is_graphql and status in TOO_SLOW:
        return Verdict(kind=Kind.SHRINK, message=message or f"HTTP {status}")
    kind = _KIND_OF_STATUS.get(status, Kind.REJECTED if status in MOVED else Kind.TRANSIENT)
    if is_graphql and kind is Kind.GONE:
        kind = Kind.REJECTED  # the endpoint is missing, not what was asked for
    wait_s = retry_after_s(received.headers, now=now) if kind is Kind.TRANSIENT else None
    return Verdict(kind=kind, wait_s=wait_s, message=message or f"HTTP {status}")


_KIND_OF_STATUS: Mapping[int, Kind] = {
    401: Kind.AUTH,
    403: Kind.FORBIDDEN,
    **dict.fromkeys(MISSING, Kind.GONE),
    **dict.fromkeys(MALFORMED, Kind.REJECTED),
}


def _judge_graphql(received: Received, *, now: datetime) -> Verdict:
    document = received.document
    if not isinstance(document, Mapping):
        return Verdict(kind=Kind.TRANSIENT, message="the answer is not a GraphQL document")
    errors, data = tuple(_errors(document)), document.get("data")
    types = {error.type for error in errors}
    told = " ".join(error.message for error in errors)
    kind = _kind_of_limits(types, told=told.lower()) or _kind_of_data(data, errors=errors, types=types)
    wait_s = resets_in_s(received.headers, now=now) if kind is Kind.PRIMARY else None
    return Verdict(kind=kind, wait_s=wait_s, message=told[:LONGEST_MESSAGE], errors=errors)


def _kind_of_limits(types: set[str], *, told: str) -> Kind | None:
    if any(word in told for word in SECONDARY_WORDS):
        return Kind.SECONDARY
    if types & LIMITED_TYPES or any(word in told for word in PRIMARY_WORDS):
        return Kind.PRIMARY
    if types & TOO_MUCH_TYPES or any(word in told for word in TOO_MUCH_WORDS):
        return Kind.SHRINK
    return None


def _kind_of_data(data: Any, *, errors: tuple[GraphQLError, ...], types: set[str]) -> Kind:
    if not isinstance(data, Mapping):
        return _kind_without_data(types)
    if has_unexplained_null(data, explained={error.path for error in errors if error.type in EXPLANATIONS}):
        return Kind.SHRINK  # null is unknown, never deleted: the page is not done
    if errors:
        return _kind_without_data(types) if _is_empty(data) else Kind.PARTIAL
    return Kind.OK


def _kind_without_data(types: set[str]) -> Kind:
    if types == {"NOT_FOUND"}:
        return Kind.GONE
    if types and types <= FORBIDDEN_TYPES:
        return Kind.FORBIDDEN
    return Kind.REJECTED if types else Kind.TRANSIENT


def _is_empty(data: Mapping[str, Any]) -> bool:
    return all(value is None for name, value in data.items() if name != "rateLimit")


def _errors(document: Mapping[str, Any]) -> Iterable[GraphQLError]:
    given = document.get("errors")
    for error in given if isinstance(given, list) else ():
        if isinstance(error, Mapping):
            path = error.get("path")
            yield GraphQLError(
                type=_type_of(error),
                path=tuple(path) if isinstance(path, list) else (),
                message=redact(str(error.get("message") or ""))[:LONGEST_MESSAGE],
            )


def _type_of(error: Mapping[str, Any]) -> str:
    """GitHub's `type`; an invalid query has only a code beside it."""
    extensions = error.get("extensions")
    code = extensions.get("code") if isinstance(extensions, Mapping) else None
    return str(error.get("type") or code or "").upper().removeprefix("GRAPHQL_")


def message_of(document: Any) -> str:
    """Return GitHub's own words for what went wrong; a proxy's may quote the token that was sent."""
    message = document.get("message") if isinstance(document, Mapping) else None
    return redact(message)[:LONGEST_MESSAGE] if isinstance(message, str) else ""

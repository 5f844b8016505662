"""Result of GitHub's responses. Pure: from status, headers and body (or silence) to a kind with its details.

PyGithub's own handling is not used: it sleeps, repeats a page that is too large, and discards partial data.
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
    """Return whether some `nodes` (or the list itself) are null although no error explains it."""
    return any(not _is_explained(path, explained) for path in null_nodes(data))


def null_nodes(data: Any, *, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every null in a list called `nodes`, and of every such list that is null itself."""
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
    """Return whether an error explains the null: below a non-null field it empties the parents."""
    return any(known[: len(path)] == path for known in explained)


CORE, GRAPHQL = "core", "graphql"
LONGEST_WINDOW_S = 24 * 3600.0
"""A reset further away than this is ignored: GitHub's windows last an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """The rate limit of a resource; the reset is a duration, so that no clocks must agree."""

    resource: str
    limit: int
    remaining: int
    resets_in_s: float


def rate_limit(headers: Mapping[str, str], *, resource: str, now: datetime) -> RateLimit | None:
    """Return the rate limit in the headers; None if there is none, as on an Enterprise Server without limits.

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
    """Return how long until the window ends, at least a second, by GitHub's clock if the answer has its date."""
    reset = number(headers, "x-ratelimit-reset")
    if reset is None:
        return 60.0
    answered = answered_at(headers) or now
    return min(max(1.0, reset - answered.timestamp()), LONGEST_WINDOW_S)


def retry_after_s(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return the wait of Retry-After, in seconds or as a date; at least a second, None without the header."""
    given = headers.get("retry-after", "").strip()
    if given.isdigit() and given.isascii():
        return min(max(1.0, float(given[:9])), LONGEST_WINDOW_S)
    moment = http_date(given)
    if moment is None:
        return None
    answered = answered_at(headers) or now
    return min(max(1.0, (moment - answered).total_seconds()), LONGEST_WINDOW_S)


def answered_at(headers: Mapping[str, str]) -> datetime | None:
    """Return GitHub's `Date` of the answer."""
    return http_date(headers.get("date", ""))


def http_date(text: str) -> datetime | None:
    """Return an HTTP date, in UTC."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def number(headers: Mapping[str, str], name: str) -> int | None:
    """Return an integer header; some servers write it as a float (PyGithub#2697)."""
    try:
        return int(float(headers[name]))
    except (KeyError, ValueError, OverflowError):
        return None


class ResponseKind(enum.Enum):
    """The kind of a response."""

    OK = enum.auto()
    """All requested data."""
    PARTIAL = enum.auto()
    """GraphQL data with errors; `errors` name the paths that are null because of them."""
    SHRINK = enum.auto()
    """Too much at once: request less, with the same cursor."""
    PRIMARY = enum.auto()
    """The hourly limit is spent until the reset."""
    SECONDARY = enum.auto()
    """Too many requests at once: send nothing for a while."""
    AUTH = enum.auto()
    """Our token or key was not accepted."""
    FORBIDDEN = enum.auto()
    """No permission; a retry does not help until the permission changes."""
    GONE = enum.auto()
    """It does not exist or is not visible: deleted, transferred or renamed."""
    REJECTED = enum.auto()
    """The request itself is invalid or exceeds a limit: never repeat it unchanged."""
    TRANSIENT = enum.auto()
    """A temporary failure: the same request may succeed later."""
    DEFERRED = enum.auto()
    """Nothing was sent, because our own budget requires to wait."""


REFUSALS = frozenset({ResponseKind.GONE, ResponseKind.FORBIDDEN, ResponseKind.REJECTED})
"""Final refusals: the same request gets the same answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLError:
    """An error next to GraphQL data."""

    type: str
    path: Path
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The classified response; `wait_s` is the wait before the next attempt, if GitHub gives one."""

    kind: ResponseKind
    wait_s: float | None = None
    message: str = ""
    errors: tuple[GraphQLError, ...] = field(default=())


class Standing(enum.Enum):
    """The state of an installation whose token GitHub refuses."""

    ACTIVE = enum.auto()
    SUSPENDED = enum.auto()
    REMOVED = enum.auto()
    REFUSED = enum.auto()
    """GitHub refuses the App itself: the key or the clock is wrong. The installation is unknown."""
    UNKNOWN = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer to a request. GitHub's failures raise nothing: check `kind`.

    `data` is the document of a REST answer or the `data` of a GraphQL answer, None where there is none to trust;
    `observed_at` is GitHub's `Date`; `not_before` (seconds since 1970) is when to retry, if known;
    `next_path` leads to the next page of a REST listing, whose last page has the number `last_page`; `up_next` is the
    subject whose request is next.
    """

    result: Result
    data: Any = None
    observed_at: datetime | None = None
    limit: RateLimit | None = None
    not_before: float | None = None
    next_path: str | None = None
    last_page: int | None = None
    up_next: str | None = None
    standing: Standing | None = None
    took_s: float = 0.0

    @property
    def kind(self) -> ResponseKind:
        return self.result.kind

    @property
    def message(self) -> str:
        return self.result.message

    @property
    def errors(self) -> tuple[GraphQLError, ...]:
        return self.result.errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A received response: header names in lower case; `document` is its JSON or None."""

    status: int
    headers: Mapping[str, str]
    document: Any


class Silence(enum.Enum):
    """The reason why there is no response."""

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
"""Good without a body, as for a requested redelivery; the client treats an accepted read as no answer."""
GOOD, MOVED = range(200, 300), range(300, 400)
LONGEST_MESSAGE = 300


def classify_response(received: Received | Silence, *, is_graphql: bool, now: datetime) -> Result:
    """Return the result of a response."""
    if isinstance(received, Silence):
        return _classify_silence(received, is_graphql=is_graphql)
    limited = _classify_limits(received, now=now)
    if limited is not None:
        return limited
    if received.status != HTTPStatus.OK or not is_graphql:
        return _classify_status(received, is_graphql=is_graphql, now=now)
    return _classify_graphql(received, now=now)


def _classify_silence(silence: Silence, *, is_graphql: bool) -> Result:
    is_too_much = is_graphql and silence in {Silence.TIMEOUT, Silence.TOO_LARGE}
    return Result(
        kind=ResponseKind.SHRINK if is_too_much else ResponseKind.TRANSIENT, message=f"no answer: {silence.value}"
    )


def _classify_limits(received: Received, *, now: datetime) -> Result | None:
    """Classify rate limits in GitHub's order: Retry-After, then a spent limit, then at least a minute."""
    if received.status not in LIMITING:
        return None
    message = message_of(received.document)
    text, asked_s = message.lower(), retry_after_s(received.headers, now=now)
    if asked_s is not None or any(word in text for word in SECONDARY_WORDS):
        return Result(kind=ResponseKind.SECONDARY, wait_s=asked_s, message=message)
    is_spent = number(received.headers, "x-ratelimit-remaining") == 0
    is_refusal = received.status == HTTPStatus.FORBIDDEN and any(word in text for word in FORBIDDEN_WORDS)
    # The last good call of a window shows 0 as well: words come before the header.
    if any(word in text for word in PRIMARY_WORDS) or (is_spent and not is_refusal):
        return Result(kind=ResponseKind.PRIMARY, wait_s=resets_in_s(received.headers, now=now), message=message)
    return (
        Result(kind=ResponseKind.SECONDARY, message=message)
        if received.status == HTTPStatus.TOO_MANY_REQUESTS
        else None
    )


def _classify_status(received: Received, *, is_graphql: bool, now: datetime) -> Result:
    status, message = received.status, message_of(received.document)
    is_good = status in WITHOUT_BODY or (status in GOOD and received.document is not None)
    if is_good and not is_graphql:
        return Result(kind=ResponseKind.OK)
    if is_graphql and status in TOO_SLOW:
        return Result(kind=ResponseKind.SHRINK, message=message or f"HTTP {status}")
    kind = _KIND_OF_STATUS.get(status, ResponseKind.REJECTED if status in MOVED else ResponseKind.TRANSIENT)
    if is_graphql and kind is ResponseKind.GONE:
        kind = ResponseKind.REJECTED  # the endpoint is missing, not what was asked for
    wait_s = retry_after_s(received.headers, now=now) if kind is ResponseKind.TRANSIENT else None
    return Result(kind=kind, wait_s=wait_s, message=message or f"HTTP {status}")


_KIND_OF_STATUS: Mapping[int, ResponseKind] = {
    401: ResponseKind.AUTH,
    403: ResponseKind.FORBIDDEN,
    **dict.fromkeys(MISSING, ResponseKind.GONE),
    **dict.fromkeys(MALFORMED, ResponseKind.REJECTED),
}


def _classify_graphql(received: Received, *, now: datetime) -> Result:
    document = received.document
    if not isinstance(document, Mapping):
        return Result(kind=ResponseKind.TRANSIENT, message="the answer is not a GraphQL document")
    errors, data = tuple(_errors(document)), document.get("data")
    types = {error.type for error in errors}
    text = " ".join(error.message for error in errors)
    kind = _kind_of_limits(types, text=text.lower()) or _kind_of_data(data, errors=errors, types=types)
    wait_s = resets_in_s(received.headers, now=now) if kind is ResponseKind.PRIMARY else None
    return Result(kind=kind, wait_s=wait_s, message=text[:LONGEST_MESSAGE], errors=errors)


def _kind_of_limits(types: set[str], *, text: str) -> ResponseKind | None:
    if any(word in text for word in SECONDARY_WORDS):
        return ResponseKind.SECONDARY
    if types & LIMITED_TYPES or any(word in text for word in PRIMARY_WORDS):
        return ResponseKind.PRIMARY
    if types & TOO_MUCH_TYPES or any(word in text for word in TOO_MUCH_WORDS):
        return ResponseKind.SHRINK
    return None


def _kind_of_data(data: Any, *, errors: tuple[GraphQLError, ...], types: set[str]) -> ResponseKind:
    if not isinstance(data, Mapping):
        return _kind_without_data(types)
    if has_unexplained_null(data, explained={error.path for error in errors if error.type in EXPLANATIONS}):
        return ResponseKind.SHRINK  # null is unknown, never deleted: the page is not done
    if errors:
        return _kind_without_data(types) if _is_empty(data) else ResponseKind.PARTIAL
    return ResponseKind.OK


def _kind_without_data(types: set[str]) -> ResponseKind:
    if types == {"NOT_FOUND"}:
        return ResponseKind.GONE
    if types and types <= FORBIDDEN_TYPES:
        return ResponseKind.FORBIDDEN
    return ResponseKind.REJECTED if types else ResponseKind.TRANSIENT


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
    """Return GitHub's `type`; an invalid query has only a code."""
    extensions = error.get("extensions")
    code = extensions.get("code") if isinstance(extensions, Mapping) else None
    return str(error.get("type") or code or "").upper().removeprefix("GRAPHQL_")


def message_of(document: Any) -> str:
    """Return GitHub's error message, redacted because a proxy may quote the token."""
    message = document.get("message") if isinstance(document, Mapping) else None
    return redact(message)[:LONGEST_MESSAGE] if isinstance(message, str) else ""

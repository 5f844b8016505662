"""What each answer of GitHub comes to: every row of the table of PyGithub's traps, and then some."""

from datetime import UTC, datetime
from typing import Any

import pytest

from apps.github.responses import (
    CORE,
    GRAPHQL,
    RateLimit,
    Received,
    ResponseKind,
    Result,
    Silence,
    classify_response,
    rate_limit,
)

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
RESET = str(int(NOW.timestamp()) + 1200)
DATE = "Fri, 20 Mar 2026 12:00:00 GMT"
SPENT = {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "0", "x-ratelimit-reset": RESET, "date": DATE}
LEFT = {**SPENT, "x-ratelimit-remaining": "4000"}
PRIMARY_BODY = {"message": "API rate limit exceeded for installation ID 7.", "documentation_url": "…"}
SECONDARY_BODY = {
    "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
}
NOT_OURS = {"message": "Resource not accessible by integration"}
PAGE = {"repository": {"pullRequests": {"nodes": [{"number": 1}]}}}
HOLE = {"repository": {"pullRequests": {"nodes": [{"number": 1}, None]}}}


def error(kind: str | None, *path: str | int, message: str = "it is so", **more: Any) -> dict[str, Any]:
    return {**({"type": kind} if kind else {}), "path": list(path), "message": message, **more}


def rest(status: int, document: Any = None, **headers: str) -> Result:
    return exchange(status, document, headers, is_graphql=False)


def graphql(status: int, document: Any = None, **headers: str) -> Result:
    return exchange(status, document, headers, is_graphql=True)


def exchange(status: int, document: Any, headers: dict[str, str], *, is_graphql: bool) -> Result:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return classify_response(Received(status=status, headers=named, document=document), is_graphql=is_graphql, now=NOW)


def with_headers(headers: dict[str, str], **more: str) -> dict[str, str]:
    return {name.replace("-", "_"): value for name, value in {**headers, **more}.items()}


TRAPS = {
    "403 primary": (rest, 403, PRIMARY_BODY, SPENT, ResponseKind.PRIMARY, 1200),
    "403 primary, however long the reset": (
        rest,
        403,
        PRIMARY_BODY,
        {**SPENT, "x-ratelimit-reset": str(int(NOW.timestamp()) + 3599)},
        ResponseKind.PRIMARY,
        3599,
    ),
    "403 with Retry-After": (rest, 403, SECONDARY_BODY, {**LEFT, "retry-after": "3"}, ResponseKind.SECONDARY, 3),
    "429 with Retry-After": (rest, 429, SECONDARY_BODY, {**LEFT, "retry-after": "3"}, ResponseKind.SECONDARY, 3),
    "429 with Retry-After and nothing left": (
        rest,
        429,
        {},
        {**SPENT, "retry-after": "90"},
        ResponseKind.SECONDARY,
        90,
    ),
    "429 without Retry-After": (rest, 429, {"message": "Too many requests"}, LEFT, ResponseKind.SECONDARY, None),
    "429 without Retry-After, spent": (rest, 429, {"message": "Too many requests"}, SPENT, ResponseKind.PRIMARY, 1200),
    "GraphQL 200 RATE_LIMITED": (graphql, 200, {"errors": [error("RATE_LIMITED")]}, SPENT, ResponseKind.PRIMARY, 1200),
    "GraphQL 200 RATE_LIMIT": (
        graphql,
        200,
        {"errors": [error("RATE_LIMIT", code="graphql_rate_limit")]},
        SPENT,
        ResponseKind.PRIMARY,
        1200,
    ),
    "GraphQL partial and errors": (
        graphql,
        200,
        {"data": PAGE, "errors": [error("NOT_FOUND", "repository", "mergedBy")]},
        LEFT,
        ResponseKind.PARTIAL,
        None,
    ),
    "GraphQL one alias NOT_FOUND": (
        graphql,
        200,
        {"data": {"r0": {"id": 1}, "r1": None}, "errors": [error("NOT_FOUND", "r1")]},
        LEFT,
        ResponseKind.PARTIAL,
        None,
    ),
    "GraphQL 502": (graphql, 502, None, {}, ResponseKind.SHRINK, None),
    "an unchanged page without a body": (rest, 304, None, LEFT, ResponseKind.REJECTED, None),
}

OTHERS = {
    "all that was asked for": (rest, 200, [], LEFT, ResponseKind.OK, None),
    "the last call of a window": (rest, 200, {"id": 1}, SPENT, ResponseKind.OK, None),
    "the last GraphQL call of a window": (graphql, 200, {"data": PAGE}, SPENT, ResponseKind.OK, None),
    "a redelivery that was asked for": (rest, 202, {}, LEFT, ResponseKind.OK, None),
    "a redelivery that was accepted without words": (rest, 202, None, LEFT, ResponseKind.OK, None),
    "done, without words": (rest, 204, None, LEFT, ResponseKind.OK, None),
    "a page in HTML that says 200": (rest, 200, None, {}, ResponseKind.TRANSIENT, None),
    "GraphQL in HTML that says 200": (graphql, 200, None, {}, ResponseKind.TRANSIENT, None),
    "secondary by its words": (rest, 403, SECONDARY_BODY, LEFT, ResponseKind.SECONDARY, None),
    "GraphQL secondary by its words": (
        graphql,
        200,
        {"errors": [error(None, message=SECONDARY_BODY["message"])]},
        LEFT,
        ResponseKind.SECONDARY,
        None,
    ),
    "GraphQL 403 secondary": (graphql, 403, SECONDARY_BODY, {"retry-after": "60"}, ResponseKind.SECONDARY, 60),
    "Retry-After as a date": (
        rest,
        429,
        {},
        {**LEFT, "retry-after": "Fri, 20 Mar 2026 12:01:30 GMT"},
        ResponseKind.SECONDARY,
        90,
    ),
    "Retry-After in the past": (rest, 403, {}, {**LEFT, "retry-after": "0"}, ResponseKind.SECONDARY, 1),
    "Retry-After that is nonsense": (rest, 429, {}, {**LEFT, "retry-after": "soon"}, ResponseKind.SECONDARY, None),
    "a reset in the past": (rest, 403, PRIMARY_BODY, {**SPENT, "x-ratelimit-reset": "1"}, ResponseKind.PRIMARY, 1),
    "a reset that is nonsense": (
        rest,
        403,
        PRIMARY_BODY,
        {**SPENT, "x-ratelimit-reset": "x"},
        ResponseKind.PRIMARY,
        60,
    ),
    "a spent limit without words": (rest, 403, {}, SPENT, ResponseKind.PRIMARY, 1200),
    "no permission": (rest, 403, NOT_OURS, LEFT, ResponseKind.FORBIDDEN, None),
    "no permission, as the last call of a window": (rest, 403, NOT_OURS, SPENT, ResponseKind.FORBIDDEN, None),
    "suspended": (rest, 403, {"message": "This installation has been suspended"}, LEFT, ResponseKind.FORBIDDEN, None),
    "GraphQL no permission": (
        graphql,
        200,
        {"data": {"repository": None}, "errors": [error("FORBIDDEN", "repository")]},
        LEFT,
        ResponseKind.FORBIDDEN,
        None,
    ),
    "an expired token": (rest, 401, {"message": "Bad credentials"}, {}, ResponseKind.AUTH, None),
    "GraphQL with an expired token": (graphql, 401, {"message": "Bad credentials"}, {}, ResponseKind.AUTH, None),
    "deleted": (rest, 404, {"message": "Not Found"}, LEFT, ResponseKind.GONE, None),
    "gone": (rest, 410, {"message": "Issues are disabled"}, LEFT, ResponseKind.GONE, None),
    "taken down": (rest, 451, {}, LEFT, ResponseKind.GONE, None),
    "GraphQL deleted": (
        graphql,
        200,
        {"data": {"repository": None, "rateLimit": {"cost": 1}}, "errors": [error("NOT_FOUND", "repository")]},
        LEFT,
        ResponseKind.GONE,
        None,
    ),
    "no GraphQL here": (graphql, 404, {"message": "Not Found"}, {}, ResponseKind.REJECTED, None),
    "beyond a cap": (rest, 422, {"message": "pagination is limited"}, LEFT, ResponseKind.REJECTED, None),
    "an empty repository": (rest, 409, {"message": "Git Repository is empty."}, LEFT, ResponseKind.REJECTED, None),
    "an invalid query": (
        graphql,
        200,
        {"errors": [error(None, extensions={"code": "undefinedField"})]},
        LEFT,
        ResponseKind.REJECTED,
        None,
    ),
    "sent elsewhere": (
        rest,
        301,
        {"message": "Moved"},
        {"location": "https://elsewhere.example.com"},
        ResponseKind.REJECTED,
        None,
    ),
    "REST 502": (rest, 502, None, {}, ResponseKind.TRANSIENT, None),
    "REST 503": (rest, 503, None, {"retry-after": "7"}, ResponseKind.TRANSIENT, 7),
    "GraphQL 503": (graphql, 503, None, {}, ResponseKind.TRANSIENT, None),
    "GraphQL 504": (graphql, 504, None, {}, ResponseKind.SHRINK, None),
    "GraphQL too heavy": (
        graphql,
        200,
        {"data": PAGE, "errors": [error("RESOURCE_LIMITS_EXCEEDED", "repository")]},
        LEFT,
        ResponseKind.SHRINK,
        None,
    ),
    "GraphQL that went wrong": (
        graphql,
        200,
        {"data": None, "errors": [error(None, message="Something went wrong while executing your query.")]},
        LEFT,
        ResponseKind.SHRINK,
        None,
    ),
    "a hole that nobody explains": (graphql, 200, {"data": HOLE}, LEFT, ResponseKind.SHRINK, None),
    "a hole with an error that explains nothing": (
        graphql,
        200,
        {"data": HOLE, "errors": [error("INTERNAL", "repository", "pullRequests", "nodes", 1)]},
        LEFT,
        ResponseKind.SHRINK,
        None,
    ),
    "a hole that is not for us": (
        graphql,
        200,
        {"data": HOLE, "errors": [error("FORBIDDEN", "repository", "pullRequests", "nodes", 1, "title")]},
        LEFT,
        ResponseKind.PARTIAL,
        None,
    ),
    "an answer without data or errors": (graphql, 200, {}, LEFT, ResponseKind.TRANSIENT, None),
    "errors that are not a list": (graphql, 200, {"data": PAGE, "errors": "no"}, LEFT, ResponseKind.OK, None),
}


@pytest.mark.parametrize("name", [*TRAPS, *OTHERS])
def test_every_answer_has_one_kind(name: str) -> None:
    ask, status, document, headers, kind, wait_s = {**TRAPS, **OTHERS}[name]
    result = ask(status, document, **with_headers(headers))
    assert (result.kind, result.wait_s) == (kind, wait_s)


@pytest.mark.parametrize(
    ("silence", "of_rest", "of_graphql"),
    [
        (Silence.TIMEOUT, ResponseKind.TRANSIENT, ResponseKind.SHRINK),
        (Silence.TOO_LARGE, ResponseKind.TRANSIENT, ResponseKind.SHRINK),
        (Silence.CONNECTION, ResponseKind.TRANSIENT, ResponseKind.TRANSIENT),
        (Silence.GARBLED, ResponseKind.TRANSIENT, ResponseKind.TRANSIENT),
    ],
)
def test_no_answer_is_never_an_empty_one(silence: Silence, of_rest: ResponseKind, of_graphql: ResponseKind) -> None:
    assert classify_response(silence, is_graphql=False, now=NOW).kind is of_rest
    assert classify_response(silence, is_graphql=True, now=NOW).kind is of_graphql


def test_every_error_keeps_its_path() -> None:
    result = graphql(200, {"data": {"r0": {}, "r1": None}, "errors": [error("NOT_FOUND", "r1"), "nonsense"]})
    assert [(found.type, found.path) for found in result.errors] == [("NOT_FOUND", ("r1",))]


def test_a_limit_belongs_to_the_resource_that_the_answer_names() -> None:
    limit = rate_limit({**LEFT, "x-ratelimit-resource": GRAPHQL}, resource=CORE, now=NOW)
    assert limit == RateLimit(resource=GRAPHQL, limit=5000, remaining=4000, resets_in_s=1200)


@pytest.mark.parametrize(
    "headers", [{}, {**LEFT, "x-ratelimit-limit": "0", "x-ratelimit-remaining": "0"}, {"x-ratelimit-limit": "60"}]
)
def test_a_missing_or_zero_limit_limits_nothing(headers: dict[str, str]) -> None:
    assert rate_limit(headers, resource=CORE, now=NOW) is None


def test_a_reset_is_measured_by_githubs_clock_and_not_by_ours() -> None:
    ahead = NOW.replace(hour=13)
    limit = rate_limit(LEFT, resource=CORE, now=ahead)
    assert limit is not None
    assert limit.resets_in_s == 1200

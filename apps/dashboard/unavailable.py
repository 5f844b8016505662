"""The response when the database is away or too slow: 503 with what to do instead of a bare 500."""

import sys
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views.decorators.csrf import requires_csrf_token
from django.views.defaults import server_error

from apps.common.db import DEADLOCK_DETECTED, LOCK_NOT_AVAILABLE, QUERY_CANCELED, is_database_unavailable, sqlstate_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Unavailable:
    """Why a request cannot be answered now, for people and for programs, and when to retry."""

    code: str
    title: str
    detail: str
    retry_after_s: int


TOOK_TOO_LONG = Unavailable(
    code="took_too_long",
    title="This took too long",
    detail=("The query took too long and was stopped. Try a shorter period, fewer repositories, or a narrower filter."),
    retry_after_s=30,
)
AWAY = Unavailable(
    code="database_unavailable",
    title="The database does not answer",
    detail="The database is unavailable or busy. No stored data is lost. Please try again in a moment.",
    retry_after_s=10,
)


@requires_csrf_token
def answer_failure(request: HttpRequest) -> HttpResponse:
    """Answer a request whose view raised an exception (Django's `handler500`, which calls it while it is handled)."""
    found = reason_of(sys.exception())
    if found is None:
        return server_error(request)
    headers = {"Retry-After": str(found.retry_after_s), "Cache-Control": "no-store"}
    if hasattr(getattr(request.resolver_match, "func", None), "cls"):  # a view of the API's
        return JsonResponse({"detail": found.detail, "code": found.code}, status=503, headers=headers)
    # Without the request: a page for somebody who is signed in would ask the database who that is.
    return HttpResponse(render_to_string("503.html", {"unavailable": found}), status=503, headers=headers)


def reason_of(error: BaseException | None) -> Unavailable | None:
    """Return why the database could not answer; None for an error that is not the database's state."""
    while error is not None:
        code = sqlstate_of(error)
        if code == QUERY_CANCELED:
            return TOOK_TOO_LONG
        if code in (LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED) or is_database_unavailable(error):
            return AWAY
        error = error.__cause__
    return None

"""Answers to requests that failed: the database does not answer, or an error of ours with an incident id."""

import logging
import secrets
import sys
from dataclasses import dataclass

import structlog
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views.decorators.csrf import requires_csrf_token

from apps.common import db

NOT_CACHED = {"Cache-Control": "no-store"}
logger = logging.getLogger(__name__)


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
    detail="The query took too long and was stopped. Try a shorter period, fewer repositories, or a narrower filter.",
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
        return answer_incident(request)
    headers = {"Retry-After": str(found.retry_after_s), **NOT_CACHED}
    if is_of_api(request):
        return JsonResponse({"detail": found.detail, "code": found.code}, status=503, headers=headers)
    # Without the request: a page for somebody who is signed in would ask the database who that is.
    return HttpResponse(render_to_string("503.html", {"unavailable": found}), status=503, headers=headers)


class IncidentResponse(HttpResponse):
    """An answer 500, whose id stands in every log line until it is sent: also in Django's, with the stack."""

    def close(self) -> None:
        super().close()
        structlog.contextvars.unbind_contextvars("incident")


def answer_incident(request: HttpRequest) -> HttpResponse:
    """Answer 500 with an id by which the cause is found in the log; the database is not needed."""
    incident = secrets.token_hex(4)
    structlog.contextvars.bind_contextvars(incident=incident)
    logger.error("request_failed", extra={"path": request.path, "method": request.method})
    if is_of_api(request):
        detail = (
            f"Something went wrong here. An administrator finds the cause in the log under the incident {incident}."
        )
        body = JsonResponse({"detail": detail, "code": "internal_error", "incident": incident}).content
        return IncidentResponse(body, status=500, headers=NOT_CACHED, content_type="application/json")
    page = render_to_string("500.html", {"incident": incident})
    return IncidentResponse(page, status=500, headers=NOT_CACHED)


def is_of_api(request: HttpRequest) -> bool:
    """Return whether a view of the API answers the request."""
    return hasattr(getattr(request.resolver_match, "func", None), "cls")


def reason_of(error: BaseException | None) -> Unavailable | None:
    """Return why the database could not answer; None for an error that is not the database's state."""
    while error is not None:
        code = db.sqlstate_of(error)
        if code == db.QUERY_CANCELED:
            return TOOK_TOO_LONG
        if code in (db.LOCK_NOT_AVAILABLE, db.DEADLOCK_DETECTED) or db.is_database_unavailable(error):
            return AWAY
        error = error.__cause__
    return None

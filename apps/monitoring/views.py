"""Liveness, readiness and metrics."""

import hmac
from ipaddress import ip_address

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from apps.monitoring import prometheus, status
from apps.users.access import is_operator


@require_safe
@never_cache
def livez(request: HttpRequest) -> HttpResponse:
    """Return 200 as long as this process answers, without checking anything else."""
    return HttpResponse("alive\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Return 200 if a delivery would be stored, else 503; a broker that is down is only reported.

    Without the broker, deliveries wait in PostgreSQL for the dispatcher and none is lost. Taking the process out of
    service would turn that delay into a loss, because GitHub does not redeliver automatically.
    """
    findings = status.run_probes()
    ready = status.is_ready(findings)
    answer: dict[str, object] = {"status": "ready" if ready else "not ready"}
    answer |= {finding.name: finding.word for finding in findings}
    if findings[0].is_good and is_asked_by_operator(request):
        answer["explanations"] = {finding.name: finding.explanation for finding in findings if finding.explanation}
    return JsonResponse(answer, status=200 if ready else 503)


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Return metrics in Prometheus' text format, for METRICS_TOKEN; without that setting, for loopback only."""
    if not may_scrape(request):
        return HttpResponse(
            "Set METRICS_TOKEN and send it as `Authorization: Bearer …`, or request it from this machine.\n",
            status=401,
            content_type="text/plain; charset=utf-8",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return HttpResponse(prometheus.expose(), content_type=CONTENT_TYPE_LATEST)


def may_scrape(request: HttpRequest) -> bool:
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), settings.METRICS_TOKEN.encode())
    return is_from_this_machine(request)


def is_from_this_machine(request: HttpRequest) -> bool:
    """Return whether the request comes from loopback and was not forwarded by a proxy."""
    if getattr(request, "is_forwarded", False):
        return False
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def is_asked_by_operator(request: HttpRequest) -> bool:
    try:
        return is_operator(request.user)
    except DatabaseError:
        return False

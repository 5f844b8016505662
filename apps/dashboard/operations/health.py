"""Health: what is wrong and what to do, the last day of the inbox, workers and beat, and what is kept how long."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.common import db
from apps.dashboard.operations.access import for_operators
from apps.dashboard.operations.hour_charts import draw
from apps.metrics.figures.formatting import duration
from apps.monitoring.doctor.checks import Check, Result, redact, run_families
from apps.monitoring.doctor.families import all_families
from apps.monitoring.doctor.github import impatient_access
from apps.monitoring.doctor.services import QUEUES
from apps.monitoring.models import StatusCheck
from apps.monitoring.presence import BEAT, present
from apps.webhooks import inbox_overview, retention
from apps.webhooks.inbox_overview import Hour

ONCE = Retry(NoBackoff(), 0)
BADGES = {Result.OK: "done", Result.WARNING: "paused", Result.FAILED: "failed", Result.UNCHECKED: ""}


@dataclass(frozen=True, slots=True)
class Present:
    """The processes that serve a queue, or beat; none is a problem."""

    name: str
    processes: tuple[str, ...]


@require_safe
@for_operators
def health(request: HttpRequest) -> HttpResponse:
    """Show what the last status check found, the last day, and who is there."""
    hours = read_day()
    context = {
        "check": StatusCheck.objects.first(),
        "hours": hours,
        "rate": draw(hours, parts=_outcomes, words=_outcome_words) if hours else None,
        "lag": draw(hours, parts=_lag, words=_lag_words) if hours else None,
        "total": sum(hour.count for hour in hours),
        "failed": sum(hour.failed for hour in hours),
        "overview": inbox_overview.look(),
        "present": find_present(),
        "retention": describe_retention(),
    }
    return render(request, "dashboard/operations/health.html", context)


@require_safe
@for_operators
def checks(request: HttpRequest) -> HttpResponse:
    """Run the checks of doctor, which take up to 20 seconds, and show each with what to do."""
    found = list(run_families(all_families(impatient_access())))
    order = {result: place for place, result in enumerate((Result.FAILED, Result.WARNING, Result.UNCHECKED, Result.OK))}
    ranked = sorted(found, key=lambda check: order[check.result])
    context = {
        "checks": [shown(check) for check in ranked],
        "counts": [(result, BADGES[result], sum(check.result is result for check in found)) for result in Result],
        "checked_at": timezone.now(),
    }
    return render(request, "dashboard/operations/checks.html", context)


def shown(check: Check) -> dict[str, Any]:
    """Return a check without secrets, as the command shows it."""
    return {
        "name": check.name,
        "result": check.result,
        "badge": BADGES[check.result],
        "found": redact(check.found),
        "advice": redact(check.advice) if check.result is not Result.OK else "",
    }


def read_day() -> list[Hour]:
    """Return the last 24 hours; nothing where a statement may not take as long."""
    try:
        return inbox_overview.read_hours(now=timezone.now())
    except DatabaseError as error:
        if db.sqlstate_of(error) != db.QUERY_CANCELED:
            raise
        return []


def find_present() -> list[Present] | None:
    """Return the workers of each queue and the beats; None if Redis does not answer."""
    client = Redis.from_url(settings.REDIS_URL, socket_timeout=1.0, socket_connect_timeout=0.5, retry=ONCE)
    try:
        with client:
            found = present(client)
    except RedisError:
        return None
    names = dict.fromkeys((*QUEUES, BEAT, *found))
    return [Present(name, tuple(found.get(name, ()))) for name in names]


def describe_retention() -> dict[str, Any]:
    """Return how long bodies are kept, since when there are any, and how late their deletion is."""
    days: list[date] = retention.find_days()
    delay_s = retention.measure_delay_s()
    return {
        "days": settings.BODY_RETENTION_DAYS,
        "oldest": days[0] if days else None,
        "rows": inbox_overview.estimate_rows(),
        "delay": duration(delay_s) if delay_s >= 1 else "",
    }


def _outcomes(hour: Hour) -> dict[str, float]:
    return {
        "processed": hour.processed,
        "ignored": hour.ignored,
        "unfinished": hour.unfinished,
        "failed": hour.failed,
    }


def _outcome_words(hour: Hour) -> str:
    counts = ", ".join(f"{count:,.0f} {kind}" for kind, count in _outcomes(hour).items() if count)
    return counts or "no delivery"


def _lag(hour: Hour) -> dict[str, float]:
    return {"lag": hour.p95_s or 0.0}


def _lag_words(hour: Hour) -> str:
    if hour.p95_s is None or hour.median_s is None:
        return "none finished"
    return f"half within {hour.median_s:.2f} s, 95% within {hour.p95_s:.2f} s"

"""One delivery: what arrived, what became of it and what it changed, its body, and its replay."""

import html
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.activity.models import Contributor, Installation, PullRequest, Repository
from apps.common.db import is_id
from apps.dashboard.operations.access import for_operators
from apps.github.credentials import registration_in_use
from apps.github.registration import settings_url
from apps.webhooks import replay
from apps.webhooks.inspection import Reported, readable_body, reported_in
from apps.webhooks.models import Delivery, DeliveryBody

LONGEST_SHOWN = 50_000
LARGEST_READ = 2_000_000
"""Bytes of a body that is read again for its page; a larger one is only offered as a whole."""
MOST_SHOWN = 100
PULL_REQUEST = "pull_request"
MEANINGS = {
    "received": "Waits for a worker.",
    "running": "A worker is processing it.",
    "processed": "Its facts are recorded.",
    "ignored": "Signature valid, but nothing in it is used.",
    "quarantined": "Signature valid, but the payload could not be read. Fix the cause, then replay it.",
    "failed": "The last attempt failed. It is tried again automatically.",
    "dead": "All attempts failed. Fix the cause, then replay it.",
}


@require_safe
@for_operators
def delivery(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a delivery."""
    row = get_object_or_404(Delivery, pk=pk)
    body = row.body
    is_readable = body is not None and row.size <= LARGEST_READ
    repository = Repository.objects.filter(pk=row.repository_id).first() if row.repository_id else None
    reported = reported_in(row, body) if body and is_readable and row.state == Delivery.State.PROCESSED else []
    context = {
        "delivery": row,
        "title": f"{row.event}.{row.action}" if row.action else row.event,
        "meaning": MEANINGS[row.state],
        "source": Delivery.Source(row.source).name.lower(),
        "repository": repository,
        "installation": _installation_of(row),
        "times": times_of(row),
        "body": body,
        "headers": sorted(body.headers.items()) if body else [],
        "text": shown_text(body) if body and is_readable else "",
        "reported": described(reported[:MOST_SHOWN], repository=repository),
        "reported_more": max(0, len(reported) - MOST_SHOWN),
        "is_readable": is_readable,
        "may_replay": body is not None and row.state != Delivery.State.RUNNING,
        **log_at_github(),
    }
    return render(request, "dashboard/operations/delivery.html", context)


def log_at_github() -> dict[str, Any]:
    """Return where GitHub lists the deliveries of the App, and whether that page is the App's own."""
    registered = registration_in_use()
    organizations = Contributor.objects.filter(kind=Contributor.Kind.ORGANIZATION)
    is_of_one = registered is not None and organizations.filter(login__iexact=registered.owner).exists()
    url = settings_url(registered, is_of_organization=is_of_one)
    return {"github_url": url, "is_known_app": registered is not None}


@require_safe
@for_operators
@never_cache
def body(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer the whole body as plain text, byte by byte as GitHub signed it."""
    found = get_object_or_404(Delivery, pk=pk).body
    if found is None:
        raise Http404("The body has expired.")
    return HttpResponse(bytes(found.content), content_type="text/plain; charset=utf-8")


@require_POST
@for_operators
def replay_one(request: HttpRequest, pk: int) -> HttpResponse:
    """Process the delivery again."""
    get_object_or_404(Delivery, pk=pk)
    if replay.replay(Delivery.objects.filter(pk=pk)):
        messages.success(request, "The delivery will be processed again, after all live ones.")
    else:
        messages.warning(request, "The delivery is running, or its body has expired, so it cannot be replayed.")
    return redirect("delivery", pk=pk)


def _installation_of(row: Delivery) -> Installation | None:
    if row.installation_id is None:
        return None
    return Installation.objects.select_related("account").filter(pk=row.installation_id).first()


def times_of(row: Delivery) -> list[tuple[str, datetime, timedelta | None]]:
    """Return what happened when, with the time since it was received."""
    events = [("Received", row.received_at), ("Claimed by a worker", row.claimed_at), ("Finished", row.finished_at)]
    if row.state == Delivery.State.FAILED:
        events.append(("Next attempt", row.not_before))
    return [(name, at, at - row.received_at if at != row.received_at else None) for name, at in events if at]


def shown_text(body: DeliveryBody) -> SafeString:
    """Return the start of the body as HTML; quotes stay as they are, which halves its size."""
    return mark_safe(html.escape(readable_body(body)[:LONGEST_SHOWN], quote=False))  # noqa: S308  escaped just here


def described(reported: Sequence[Reported], *, repository: Repository | None) -> list[dict[str, Any]]:
    """Return entities in words; pull requests with their pages."""
    numbers = {one.key.rpartition(":")[2] for one in reported if one.entity == PULL_REQUEST}
    rows = PullRequest.objects.filter(repository=repository, number__in=[one for one in numbers if is_id(one)])
    pages = {f"{repository.pk}:{row.number}": row for row in rows} if repository and numbers else {}
    return [
        {
            "name": _name_of(one),
            "facts": ", ".join(_spaced(name) for name in one.facts),
            "is_recorded": one.is_recorded,
            "pull_request": pages.get(one.key) if one.entity == PULL_REQUEST else None,
        }
        for one in reported
    ]


def _name_of(one: Reported) -> str:
    within, _, key = one.key.rpartition(":")
    return f"{one.entity.replace('_', ' ').capitalize()} {f'#{key}' if within and key.isdigit() else key[:12]}"


def _spaced(name: str) -> str:
    """Return a class name as words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()

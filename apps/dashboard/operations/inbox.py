"""The inbox: deliveries as they arrive, those that failed by their error, and a replay of all that match a filter."""

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from apps.activity.models import Repository
from apps.common.db import is_id
from apps.dashboard.addresses import query_string
from apps.dashboard.operations.access import for_operators
from apps.dashboard.operations.inbox_filter import BODIES_HELP, InboxFilterForm
from apps.webhooks import inbox_overview, replay
from apps.webhooks.models import Delivery

PER_PAGE = 50
MOST_REPLAYED = 5_000
"""The most that one request replays: it takes seconds. The command has no limit."""
BASIC = ("q", "state", "event")
FURTHER = ("action", "reason", "repository", "installation", "guid", "since", "until")
ATTENTION = ("failed", "dead", "quarantined")


@require_safe
@for_operators
def inbox(request: HttpRequest) -> HttpResponse:
    """Show the deliveries that match the filter, newest first."""
    form = InboxFilterForm(request.GET)
    is_valid = form.is_valid()
    shown, older = page_of(request, form.wanted) if is_valid else ([], "")
    is_first = "before" not in request.GET
    context = {
        "form": form,
        "basic": [form[name] for name in BASIC],
        "further": [form[name] for name in FURTHER],
        "is_further": any(request.GET.get(name) for name in FURTHER),
        "bodies_help": BODIES_HELP,
        "error": request.GET.get("error", ""),
        "without_error": query_string(request, error=None, before=None),
        "deliveries": with_repositories(shown),
        "older": older,
        "newest": query_string(request, before=None),
        "is_first": is_first,
        "is_live": is_valid and is_first and request.GET.get("live") != "off",
        "here": request.get_full_path(),
        "live_switch": [("Live", query_string(request, live=None)), ("Paused", query_string(request, live="off"))],
        "kept": query_string(request, before=None, live=None),
        "overview": inbox_overview.look(),
        "groups": failures() if is_first else [],
    }
    return render(request, "dashboard/operations/inbox.html", context, status=200 if is_valid else 400)


def page_of(request: HttpRequest, wanted: replay.Filter) -> tuple[list[Delivery], str]:
    """Return a page of deliveries, and the query string of the next one, empty for the last.

    Narrowed by time they are in the order of arrival, else of ids: an index has either.
    """
    is_by_time = bool(wanted.since or wanted.until)
    rows: QuerySet[Delivery] = replay.matching(wanted).order_by(*(("-received_at",) if is_by_time else ()), "-id")
    before = request.GET.get("before", "")
    if is_id(before):
        rows = rows.filter(_is_before(int(before), is_by_time=is_by_time))
    found = list(rows[: PER_PAGE + 1])
    older = query_string(request, before=str(found[PER_PAGE - 1].pk)) if len(found) > PER_PAGE else ""
    return found[:PER_PAGE], older


def _is_before(pk: int, *, is_by_time: bool) -> Q:
    at: datetime | None = None
    if is_by_time:
        at = Delivery.objects.filter(pk=pk).values_list("received_at", flat=True).first()
    return Q(received_at__lte=at) & (Q(received_at__lt=at) | Q(pk__lt=pk)) if at else Q(pk__lt=pk)


def with_repositories(deliveries: Sequence[Delivery]) -> list[tuple[Delivery, str, float | None]]:
    """Return each delivery with its repository's name, as far as it is known, and the seconds until it was finished."""
    ids = {one.repository_id for one in deliveries if one.repository_id is not None}
    names = dict(Repository.objects.filter(pk__in=ids).values_list("pk", "full_name")) if ids else {}
    return [
        (one, names.get(one.repository_id or 0) or str(one.repository_id or ""), _took_s(one)) for one in deliveries
    ]


def _took_s(row: Delivery) -> float | None:
    is_first = row.source != Delivery.Source.REPLAY  # a replay has taken since whenever it was received
    return (row.finished_at - row.received_at).total_seconds() if row.finished_at and is_first else None


def failures() -> list[dict[str, Any]]:
    """Return those that failed by state, reason, event and error, each with the address that lists them."""
    found = inbox_overview.group_failures(states=ATTENTION)
    return [{"group": group, "url": f"?{_filter_of(group)}"} for group in found]


def _filter_of(group: inbox_overview.Failures) -> str:
    parameters = QueryDict(mutable=True)
    for name in ("state", "reason", "event", "error"):
        if value := getattr(group, name):
            parameters[name] = value
    return parameters.urlencode()


@require_http_methods(["GET", "HEAD", "POST"])
@for_operators
def replay_matching(request: HttpRequest) -> HttpResponse:
    """Say how many deliveries a filter matches, and replay them once that is confirmed."""
    form = InboxFilterForm(request.GET)
    if not form.is_narrow:
        messages.warning(request, "Choose a filter first. To replay the whole inbox, use manage.py replay.")
        return redirect(f"{reverse('inbox')}?{request.GET.urlencode()}")
    found = replay.find(form.wanted)
    count = found.order_by()[: MOST_REPLAYED + 1].count()
    kept = query_string(request, before=None, live=None)
    if request.method == "POST" and 0 < count <= MOST_REPLAYED:
        replayed = replay.replay(found)
        messages.success(request, f"{counted(replayed)} will be processed again, after all live ones.")
        return redirect(f"{reverse('inbox')}?{kept}")
    context = {
        "count": min(count, MOST_REPLAYED),
        "is_too_many": count > MOST_REPLAYED,
        "most": MOST_REPLAYED,
        "command": command_of(form.wanted),
        "parts": parts_of(form),
        "kept": kept,
    }
    return render(request, "dashboard/operations/replay.html", context)


def parts_of(form: InboxFilterForm) -> list[tuple[str, Any]]:
    """Return the label and the value of each part of the filter."""
    return [(str(field.label), field.value()) for field in form if field.value()]


def counted(number: int) -> str:
    return f"{number:,} {'delivery' if number == 1 else 'deliveries'}"


OPTIONS: Mapping[str, str] = {
    "event": "--event",
    "action": "--action",
    "state": "--state",
    "reason": "--reason",
    "error": "--error",
    "installation_id": "--installation",
    "repository_id": "--repository",
    "since": "--since",
    "until": "--until",
}


def command_of(wanted: replay.Filter) -> str:
    """Return the command that replays the same."""
    values = ((option, getattr(wanted, name)) for name, option in OPTIONS.items())
    options = [f"{option} {_quoted(value)}" for option, value in values if value is not None]
    return " ".join(["manage.py replay", *([wanted.key] if wanted.key else []), *options])


def _quoted(value: Any) -> str:
    return shlex.quote(value.isoformat() if isinstance(value, datetime) else str(value))

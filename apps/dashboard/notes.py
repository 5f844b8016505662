"""The notes of who is signed in: a count in the header of each page, and the list."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import SimpleLazyObject
from django.views.decorators.http import require_POST, require_safe

from apps.common.db import is_id
from apps.notifications.models import Notification

NOTES_PER_PAGE = 50


@require_safe
@login_required
def notes(request: HttpRequest) -> HttpResponse:
    """What the person was told, the latest first."""
    told = Notification.objects.visible_to(request.user)
    return render(
        request, "dashboard/notes.html", {"page": Paginator(told, NOTES_PER_PAGE).get_page(request.GET.get("page"))}
    )


@require_POST
@login_required
def mark_read(request: HttpRequest) -> HttpResponse:
    """Mark one note as read, or all of them when none is named; other people's are not there."""
    told = Notification.objects.visible_to(request.user)
    named = request.POST.get("note", "")
    if named:
        told = told.filter(pk=int(named)) if is_id(named) else told.none()
    told.mark_read()
    return redirect("notes")


def unread_count(request: HttpRequest) -> dict[str, Any]:
    """A context processor: `unread_notes`, counted only by a page that shows it."""

    def count() -> int:
        user = getattr(request, "user", None)
        return Notification.objects.visible_to(user).unread().count() if user and user.is_authenticated else 0

    return {"unread_notes": SimpleLazyObject(count)}

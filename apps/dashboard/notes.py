"""The page of the user's notes."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import SimpleLazyObject
from django.views.decorators.http import require_POST, require_safe

from apps.common import db
from apps.notifications.models import Notification

NOTES_PER_PAGE = 50


@require_safe
@login_required
def notes(request: HttpRequest) -> HttpResponse:
    """Show the notes of the user, the latest first."""
    own = Notification.objects.visible_to(request.user)
    page = Paginator(own, NOTES_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "dashboard/notes.html", {"page": page})


@require_POST
@login_required
def mark_notes_read(request: HttpRequest) -> HttpResponse:
    """Mark one of the user's notes as read, or all of them when none is named."""
    own = Notification.objects.visible_to(request.user)
    named = request.POST.get("note", "")
    if named:
        own = own.filter(pk=int(named)) if db.is_id(named) else own.none()
    own.mark_read()
    return redirect("notes")


def unread_count(request: HttpRequest) -> dict[str, Any]:
    """Context processor for `unread_notes`, counted only by pages that show it."""

    def count() -> int:
        user = getattr(request, "user", None)
        return Notification.objects.visible_to(user).unread().count() if user and user.is_authenticated else 0

    return {"unread_notes": SimpleLazyObject(count)}

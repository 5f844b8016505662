"""The page that starts backfills: choose, see what it would take, start."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone

from apps.common.db import is_id
from apps.integrations.admin.forms import MOST_CHOSEN, BackfillForm
from apps.integrations.backfill.console import forecast_lines
from apps.integrations.backfill.requests import Begun, forecast_asked, start_asked
from apps.integrations.backfill.start import MOST_NAMED, NothingToStart
from apps.integrations.models import Backfill

TARGETS = ("repositories", "installations", "teams")
TEMPLATE = "admin/integrations/backfill/start.html"
CHANGELIST = "admin:integrations_backfill_changelist"


def start_page(request: HttpRequest, *, page: Any) -> HttpResponse:
    """The form; what it would take is asked of GitHub first, unless somebody starts at once."""
    if request.method != "POST":
        return _show(request, page=page, form=BackfillForm(initial=initial_in(request)))
    form = BackfillForm(request.POST)
    if not form.is_valid():
        return _show(request, page=page, form=form)
    try:
        if "start" in request.POST:
            tell(request, start_asked(form.chosen, scope=form.scope))
            return redirect(CHANGELIST)
        forecast = forecast_asked(form.chosen, scope=form.scope)
    except NothingToStart as error:
        form.add_error(None, str(error))
        return _show(request, page=page, form=form)
    return _show(request, page=page, form=form, forecast=forecast, lines=forecast_lines(forecast))


def initial_in(request: HttpRequest) -> dict[str, Any]:
    """What the address names, and as much of the past as is read by itself: no more, or that would begin again."""
    named = {name: request.GET.get(name, "").split(",")[:MOST_CHOSEN] for name in TARGETS}
    ids = {name: [int(text) for text in texts if is_id(text)] for name, texts in named.items()}
    return {**ids, "since": timezone.now().date() - timedelta(days=settings.BACKFILL_DAYS - 1)}


def tell(request: HttpRequest, begun: Begun) -> None:
    """Say what a start has set in motion."""
    messages.success(request, f"{begun.new} backfills started; {begun.count - begun.new} were under way already.")
    if begun.paused:
        messages.warning(request, f"Paused, and in need of somebody who resumes them: {begun.paused}.")
    if begun.unreachable:
        names = ", ".join(str(repository) for repository in begun.unreachable[:MOST_NAMED])
        more = f" and {len(begun.unreachable) - MOST_NAMED} more" if len(begun.unreachable) > MOST_NAMED else ""
        messages.warning(request, f"No installation of the App reaches {names}{more}.")


def _show(request: HttpRequest, *, page: Any, form: BackfillForm, **more: Any) -> TemplateResponse:
    context = {
        **page.admin_site.each_context(request),
        "title": "Start backfills",
        "opts": Backfill._meta,
        "model_admin": page,
        "form": form,
        "media": page.media + form.media,
        **more,
    }
    request.current_app = page.admin_site.name
    return TemplateResponse(request, TEMPLATE, context)

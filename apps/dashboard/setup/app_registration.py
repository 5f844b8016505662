"""Creating the App: the last look before GitHub, and the way back with the code."""

import hmac
import json
import secrets
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.dashboard.operations.access import for_operators
from apps.dashboard.setup.app_form import AppForm
from apps.dashboard.setup.page import render_setup
from apps.github.auth import github
from apps.github.permissions import PERMISSIONS, listed, needed_events
from apps.github.registration import RegistrationError, register
from apps.monitoring.setup_checklist import at_github

SESSION_KEY = "app_registration"
FOREIGN = (
    "This answer of GitHub does not belong to an App that you are creating in this browser. Create it from this page, "
    "opened at the address that tformance has in PUBLIC_URL."
)


@require_POST
@never_cache
@for_operators
def prepare_app(request: HttpRequest) -> HttpResponse:
    """Show what GitHub will be asked for; the button there leads to GitHub."""
    form = AppForm(request.POST)
    if not form.is_valid():
        return render_setup(request, form=form, status=400)
    manifest = form.manifest()
    state = secrets.token_urlsafe(32)
    request.session[SESSION_KEY] = {"state": state, "webhook_url": manifest.webhook_url}
    context = {
        "manifest": manifest,
        "url": manifest.url(state=state),
        "document": json.dumps(manifest.document()),
        "permissions": listed(sorted(PERMISSIONS)),
        "events": len(needed_events()),
    }
    return render(request, "dashboard/setup/new_app.html", context)


@require_GET
@never_cache
@for_operators
def app_registered(request: HttpRequest) -> HttpResponse:
    """Take the code that GitHub sends the browser back with, and store the App."""
    under_way = state_of(request)
    if under_way is None:
        return render_setup(request, problem=FOREIGN, status=400)
    code = request.GET.get("code", "")
    if not code:
        return render_setup(request, problem="GitHub sent no code: the App was not created. Start again.", status=400)
    try:
        registered = register(code, access=github(), webhook_url=str(under_way.get("webhook_url", "")))
    except RegistrationError as error:
        if not error.may_retry:
            del request.session[SESSION_KEY]
        return render_setup(request, problem=str(error), status=502 if error.may_retry else 400)
    del request.session[SESSION_KEY]
    at_github.forget()
    messages.success(request, f"{registered.name} was created. Next, install it on an account.")
    return redirect("setup")


def state_of(request: HttpRequest) -> dict[str, Any] | None:
    """Return the registration that this browser began, if the answer belongs to it."""
    begun = request.session.get(SESSION_KEY)
    if not isinstance(begun, dict) or not begun.get("state"):
        return None
    is_ours = hmac.compare_digest(str(begun["state"]).encode(), request.GET.get("state", "").encode())
    return begun if is_ours else None

"""The rotation of the webhook secret, step by step."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from apps.dashboard.operations.access import for_operators
from apps.dashboard.setup.page import render_setup
from apps.github import secret_rotation
from apps.github.auth import github
from apps.github.secret_rotation import Retired, RotationError

SECTION = "#webhook-secret"
STEPS = ("begin", "set", "prove", "retire", "cancel", "cancel-set-back")


@require_POST
@never_cache
@for_operators
def change_secret(request: HttpRequest) -> HttpResponse:
    """Take the step that the form names: begin, set, prove, retire, cancel, or cancel once the old one is set back."""
    step = request.POST.get("step", "")
    if step not in STEPS:
        raise Http404("There is no such step.")
    try:
        if step == "begin":
            # In this answer alone: it is stored encrypted, and no other page shows it.
            return render_setup(request, new_secret=secret_rotation.begin().value)
        take(step, request)
    except RotationError as error:
        messages.error(request, str(error))
    response = redirect("setup")
    response["Location"] += SECTION
    return response


def take(step: str, request: HttpRequest) -> None:
    """Take a step and say what became of it."""
    if step == "set":
        secret_rotation.set_at_github(access=github())
        secret_rotation.ask_for_proof(access=github())
        messages.success(request, "GitHub has the new secret. Deliveries signed with the old one are still accepted.")
    elif step == "prove":
        is_asked = secret_rotation.ask_for_proof(access=github())
        words = "GitHub sends its latest delivery again." if is_asked else "GitHub has no delivery to send again: wait."
        messages.info(request, words)
    elif step == "retire":
        say_retired(secret_rotation.retire(), request)
    elif step == "cancel-set-back":
        secret_rotation.give_up(is_set_back=True)
        messages.info(request, "The new secret is accepted for five more minutes, then no longer.")
    else:
        secret_rotation.give_up()
        messages.info(request, "The new secret is deleted; nothing else changed.")


def say_retired(retired: Retired, request: HttpRequest) -> None:
    """Say what ends, and what stays and why."""
    if retired.ended or not retired.kept:
        messages.success(request, "The old secret is accepted for five more minutes, then no longer.")
    for each in retired.kept:
        messages.warning(request, f"{each.slot} ({each.label}) stays accepted: {each.stays}.")

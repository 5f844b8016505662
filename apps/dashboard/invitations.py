"""The page of an invitation: the person who opened its link joins the team, or makes an account first."""

from typing import Any

from axes.models import AccessAttempt
from django import forms
from django.contrib import messages
from django.contrib.auth import login, password_validation
from django.contrib.auth.forms import UserCreationForm
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from apps.notifications.invitations import SESSION_KEY, InvitationClosedError, accept, invitation_in, invitation_of
from apps.teams.models import Invitation
from apps.teams.team_roles import ROLES
from apps.users.models import CustomUser
from apps.users.sign_in_limits import client_network, has_mail, refused, take_attempt

BACKEND = "django.contrib.auth.backends.ModelBackend"


class AccountForm(UserCreationForm):  # type: ignore[type-arg]
    """A new account with a password; its address is for mail about a forgotten password."""

    email = forms.EmailField(required=False, max_length=254)

    class Meta:
        model = CustomUser
        fields = ("username", "email")


@require_safe
@never_cache
def open_link(request: HttpRequest, secret: str) -> HttpResponse:
    """Remember in the session that the link was opened, and go on at an address without its secret.

    The secret therefore reaches no Referer header, and no address that a sign-in elsewhere returns to.
    """
    address = client_network(request)
    counted_as = f"(invitation links) {address}"  # no user's name; with the address, so that nobody holds others up
    wait_s, _ = take_attempt(counted_as, address)
    if wait_s:
        request.sign_in_wait_s = wait_s  # type: ignore[attr-defined]
        return refused(request, HttpResponse(), None)
    invitation = invitation_of(secret)
    if invitation is None:
        answer = closed(request)
    else:
        AccessAttempt.objects.filter(username=counted_as).update(failures_since_start=F("failures_since_start") - 1)
        request.session[SESSION_KEY] = invitation.pk
        answer = redirect("accept-invitation")
    answer["Referrer-Policy"] = "no-referrer"
    return answer


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def accept_invitation(request: HttpRequest) -> HttpResponse:
    """Show the invitation of this session, and accept it for the user who is signed in or makes an account."""
    invitation = invitation_in(request.session)
    if invitation is None:
        return closed(request)
    form = AccountForm(request.POST if request.method == "POST" else None, initial={"email": invitation.email})
    if request.method != "POST":
        return show(request, invitation, form=form)
    try:
        if request.user.is_authenticated:
            accept(invitation, user=request.user)
        elif form.is_valid():
            with transaction.atomic():
                user = form.save()
                accept(invitation, user=user)
            login(request, user, backend=BACKEND)
        else:
            return show(request, invitation, form=form)
    except InvitationClosedError:
        return closed(request)
    request.session.pop(SESSION_KEY, None)
    messages.success(request, f"Welcome to {invitation.team}.")
    return redirect("front")


def show(request: HttpRequest, invitation: Invitation, *, form: AccountForm) -> HttpResponse:
    role = str(invitation.role)
    context: dict[str, Any] = {
        "invitation": invitation,
        "form": form,
        "may": [words for name, words in ROLES.items() if list(ROLES).index(name) <= list(ROLES).index(role)],
        "has_email": has_mail(),
        "password_rules": password_validation.password_validators_help_texts(),
        "here": reverse("accept-invitation"),
    }
    return render(request, "account/invitation.html", context)


def closed(request: HttpRequest) -> HttpResponse:
    request.session.pop(SESSION_KEY, None)
    return render(request, "account/invitation_closed.html", status=404)

"""The page of one's own account: API tokens, password, address, and the teams that one has access to."""

from datetime import timedelta
from typing import Any

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from apps.dashboard.team_access import id_in
from apps.teams.models import TeamAccess
from apps.teams.team_roles import ROLES
from apps.users.access import is_operator
from apps.users.models import ApiToken, CustomUser
from apps.users.sign_in_limits import client_network, forget_attempts, has_mail, normal_name, refused, take_attempt

MOST_TOKENS = 50
LIFETIMES = {"30": "30 days", "90": "90 days", "365": "1 year", "": "No expiry"}
"""The choices of how many days a token lasts."""


class TokenForm(forms.Form):
    """A new API token."""

    label = forms.CharField(max_length=100, error_messages={"required": "Say what the token is for."})
    days = forms.ChoiceField(choices=list(LIFETIMES.items()), required=False)


class MailForm(forms.Form):
    """Where mail goes. A change needs the password, because a forgotten one is reset by a mail there."""

    email = forms.EmailField(required=False, max_length=254)
    password = forms.CharField(required=False, strip=False)

    def __init__(self, *args: Any, user: CustomUser, network: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user, self.network = user, network
        self.wait_s = 0.0

    def clean(self) -> None:
        """Check the password if the address changes."""
        is_changed = self.cleaned_data.get("email") != self.user.email
        needs_password = is_changed and self.user.has_usable_password()
        if needs_password and not self._is_right(self.cleaned_data.get("password", "")):
            self.add_error("password", "Enter your current password to change the address.")

    def _is_right(self, password: str) -> bool:
        """Check the password, counted with the attempts to sign in: a session that was stolen guesses no faster."""
        if not password:
            return False
        counted = normal_name(self.user.username), self.network
        self.wait_s, _ = take_attempt(*counted)
        if self.wait_s or not self.user.check_password(password):
            return False
        forget_attempts(*counted)
        return True

    def save(self) -> None:
        """Store the address."""
        if self.cleaned_data["email"] != self.user.email:
            EmailAddress.objects.filter(user=self.user).delete()
        CustomUser.objects.filter(pk=self.user.pk).update(email=self.cleaned_data["email"])


@require_safe
@login_required
@never_cache
def account(request: HttpRequest) -> HttpResponse:
    """Show the user's own account."""
    return show(request)


def show(request: HttpRequest, *, status: int = 200, **forms_with_errors: Any) -> HttpResponse:
    user: Any = request.user
    accesses = TeamAccess.objects.filter(user=user, team__is_approved=True).select_related("team")
    context = {
        "tokens": ApiToken.objects.filter(user=user),
        "now": timezone.now(),
        "lifetimes": LIFETIMES,
        "accesses": [(one, ROLES[one.role]) for one in accesses.order_by("team__name")],
        "is_operator": is_operator(user),
        "providers": SocialAccount.objects.filter(user=user).order_by("pk"),
        "has_email": has_mail(),
        "token_form": TokenForm(),
        "mail_form": MailForm(initial={"email": user.email}, user=user),
        **forms_with_errors,
    }
    return render(request, "dashboard/account.html", context, status=status)


@require_POST
@login_required
@never_cache
def create_token(request: HttpRequest) -> HttpResponse:
    """Create an API token and show its secret on the next page, once."""
    form = TokenForm(request.POST)
    user: Any = request.user
    if form.is_valid() and ApiToken.objects.filter(user=user).count() >= MOST_TOKENS:
        form.add_error("label", f"You have {MOST_TOKENS} tokens. Revoke some first.")
    if not form.is_valid():
        return show(request, status=400, token_form=form)
    days = form.cleaned_data["days"]
    expires_at = timezone.now() + timedelta(days=int(days)) if days else None
    _, secret = ApiToken.objects.issue(user=user, label=form.cleaned_data["label"], expires_at=expires_at)
    link = format_html('<code class="secret">{}</code>', secret)
    messages.success(request, format_html("Copy your new token now. It cannot be shown again: {}", link))
    return redirect("account")


@require_POST
@login_required
def revoke_token(request: HttpRequest) -> HttpResponse:
    """Delete one of the user's tokens, which then no longer works."""
    user: Any = request.user
    deleted, _ = ApiToken.objects.filter(user=user, pk=id_in(request, "token")).delete()
    if not deleted:
        raise Http404("You have no such token.")
    messages.success(request, "The token was revoked.")
    return redirect("account")


@require_POST
@login_required
def change_mail(request: HttpRequest) -> HttpResponse:
    """Change the address; 404 where no mail can be sent."""
    if not has_mail():
        raise Http404("No mail can be sent here.")
    user: Any = request.user
    form = MailForm(request.POST, user=user, network=client_network(request))
    is_valid = form.is_valid()
    if form.wait_s:
        request.sign_in_wait_s = form.wait_s  # type: ignore[attr-defined]
        return refused(request, HttpResponse(), None)
    if not is_valid:
        return show(request, status=400, mail_form=form)
    form.save()
    messages.success(request, "Your address was changed.")
    return redirect("account")

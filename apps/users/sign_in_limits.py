"""Signing in with a password: rate limits, counted in the database for all processes before it is checked.

Five failed attempts for a name from an address lock that pair for 15 minutes. Attackers cannot lock out a user who
signs in from elsewhere: many failures only delay those who never signed in from that address before.
"""

import ipaddress
import logging
import math
from datetime import timedelta
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_client_username, get_cool_off
from axes.models import AccessAttempt, AccessLog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max, QuerySet, Sum
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

SLOWER_EACH = 50
"""Every 50 failures of a name or an address delay further attempts by one more second."""
LONGEST_PAUSE_S = 30
IPV6_NETWORK = 64
"""A customer has a whole IPv6 network, so it counts as one address."""
NOWHERE = "0.0.0.0"  # noqa: S104  an address that no client has
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest(%s::text[]) AS key"
logger = logging.getLogger(__name__)


class ClosedSignUp(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Operators create accounts with a password; others sign up by apps.integrations.openid_sign_in."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return False."""
        return False

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        """Return the page of the user's account."""
        return reverse("account")


def has_mail() -> bool:
    """Return whether this instance sends e-mail at all."""
    return not settings.EMAIL_BACKEND.endswith("dummy.EmailBackend")


def user_name(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """Return the normalised user name."""
    return normal_name(str((credentials or {}).get("username") or ""))


def normal_name(name: str) -> str:
    """Return the name by which attempts of a user are counted."""
    return name.strip().lower()[:255]


def client_network(request: HttpRequest) -> str:
    """Return the client's address, of IPv6 its network."""
    text = request.META.get("REMOTE_ADDR") or NOWHERE
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return NOWHERE
    if isinstance(address, ipaddress.IPv4Address):
        return text
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, IPV6_NETWORK), strict=False).network_address)


class SignInLimits(AxesDatabaseHandler):  # type: ignore[misc]  # axes has no types
    """The handler that django-axes calls."""

    def is_locked(self, request: Any, credentials: dict[str, Any] | None = None) -> bool:
        """Return whether the attempt is refused; otherwise count it before the password is checked."""
        self.clean_expired_user_attempts(request, credentials)
        name = get_client_username(request, credentials)
        request.sign_in_wait_s, request.axes_failures_since_start = take_attempt(name, request.axes_ip_address)
        return bool(request.sign_in_wait_s)

    def user_login_failed(self, sender: Any, credentials: dict[str, Any], request: Any = None, **kwargs: Any) -> None:
        """Lock the pair with the failed attempt that reaches its limit."""
        is_refused = request is None or request.axes_locked_out
        if is_refused or request.axes_failures_since_start < settings.AXES_FAILURE_LIMIT:
            return
        request.axes_locked_out, request.sign_in_wait_s = True, get_cool_off(request).total_seconds()
        logger.warning("sign_in_locked", extra={"address": request.axes_ip_address})


def take_attempt(name: str, address: str) -> tuple[float, int]:
    """Count an attempt; return 0 and the pair's attempts, or for how many seconds it is refused, uncounted."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(LOCK, [[f"sign-in by {name}", f"sign-in from {address}"]])
        pair = AccessAttempt.objects.filter(username=name, ip_address=address)
        failures, ago_s = recent(pair)
        if failures >= settings.AXES_FAILURE_LIMIT:
            return get_cool_off().total_seconds() - ago_s, failures
        if (pause_s := pause(name, address)) > 0:
            return pause_s, failures
        if not pair.update(failures_since_start=failures + 1, attempt_time=Now()):
            AccessAttempt.objects.create(username=name, ip_address=address, failures_since_start=1)
            pair.update(attempt_time=Now())
        return 0.0, failures + 1


def forget_attempts(name: str, address: str) -> None:
    """Begin to count anew after a right password, as a sign-in does."""
    AccessAttempt.objects.filter(username=name, ip_address=address).delete()


def recent(attempts: "QuerySet[AccessAttempt]") -> tuple[int, float]:
    """Return how many of them are young enough to count, and the seconds since the last."""
    found = attempts.filter(attempt_time__gt=Now() - get_cool_off()).aggregate(
        failures=Sum("failures_since_start"), ago=Now() - Max("attempt_time")
    )
    return found["failures"] or 0, (found["ago"] or timedelta()).total_seconds()


def pause(name: str, address: str) -> float:
    """Return the seconds to wait where many fail; a person who once signed in from there never waits."""
    longest_s = 0.0
    for attempts in (AccessAttempt.objects.filter(username=name), AccessAttempt.objects.filter(ip_address=address)):
        failures, ago_s = recent(attempts)
        longest_s = max(longest_s, min(failures // SLOWER_EACH, LONGEST_PAUSE_S) - ago_s)
    is_known = longest_s > 0 and AccessLog.objects.filter(ip_address=address, username__iexact=name).exists()
    return 0.0 if is_known else longest_s


def refused(request: Any, response: HttpResponse, credentials: Any) -> HttpResponse:
    """Answer 429 to an attempt that was refused, with the time after which another one is checked."""
    wait_s = max(1, math.ceil(request.sign_in_wait_s))
    page = render(request, "account/refused.html", {"wait_s": wait_s, "wait_minutes": -(-wait_s // 60)}, status=429)
    page["Retry-After"] = str(wait_s)
    return page

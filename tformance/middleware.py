"""Client address and scheme from X-Forwarded-* of trusted proxies only, response headers, and NULs in parameters."""

import ipaddress
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from csp.constants import SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import render

FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST", "HTTP_FORWARDED")


class TrustedProxyMiddleware:
    """Set REMOTE_ADDR and the scheme of the client if a trusted proxy sends them; otherwise drop the headers."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        claims = {name: request.META.pop(name, "") for name in FORWARDED}
        request.is_forwarded = any(claims.values())  # type: ignore[attr-defined]  # /metrics asks
        if claims["HTTP_X_FORWARDED_FOR"] or claims["HTTP_X_FORWARDED_PROTO"]:
            self._believe(request, chain=claims["HTTP_X_FORWARDED_FOR"], scheme=claims["HTTP_X_FORWARDED_PROTO"])
        return self.get_response(request)

    def _believe(self, request: HttpRequest, *, chain: str, scheme: str) -> None:
        if not is_trusted(request.META.get("REMOTE_ADDR", "")):
            return
        if client := client_address(chain):
            request.META["REMOTE_ADDR"] = client
        if scheme.strip().lower() in {"http", "https"}:
            request.META["wsgi.url_scheme"] = scheme.strip().lower()


def client_address(chain: str) -> str:
    """Return the last address that is not a trusted proxy; addresses before it can be forged."""
    hops = [hop.strip() for hop in chain.split(",") if hop.strip()]
    client = next((hop for hop in reversed(hops) if not is_trusted(hop)), hops[0] if hops else "")
    return client if _address(client) else ""


def is_trusted(address: str) -> bool:
    """Return whether TRUSTED_PROXIES has this address."""
    parsed = _address(address)
    return parsed is not None and any(parsed in network for network in _networks(tuple(settings.TRUSTED_PROXIES)))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


@cache
def _networks(names: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(name, strict=False) for name in names)


# The admin theme evaluates Alpine expressions and sets inline styles.
ADMIN = {"script-src": [SELF, UNSAFE_EVAL], "style-src": [SELF, UNSAFE_INLINE]}
TO_GITHUB = ("/accounts/", "/invitation/", "/setup/")
"""Pages whose forms lead to GitHub: to sign in, and to register the App."""


class ContentSecurityMiddleware(CSPMiddleware):
    """Send the policy with every response."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if request.path.startswith("/admin/"):
            response._csp_update = ADMIN  # type: ignore[attr-defined]
        elif request.path.startswith(TO_GITHUB):
            response._csp_update = {"form-action": [settings.GITHUB_URL]}  # type: ignore[attr-defined]
        return super().process_response(request, response)


class NulMiddleware:
    """Answer 400 to parameters of a page that have a NUL, which no text in PostgreSQL can have.

    The API and the receiver check what they are sent by themselves.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, *_: Any) -> HttpResponse | None:
        """Refuse the request before its view reads it."""
        if hasattr(view, "cls") or not has_nul((request.GET, request.POST)):  # views of the API have a `cls`
            return None
        return render(request, "dashboard/bad_request.html", status=400)


def has_nul(parameters: Iterable[QueryDict]) -> bool:
    """Return whether a name or a value has a NUL."""
    return any("\0" in text for each in parameters for name, values in each.lists() for text in (name, *values))

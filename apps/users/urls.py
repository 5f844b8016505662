"""URLs of allauth's pages that are in use; all others are 404."""

from typing import Any

from allauth.urls import urlpatterns as pages
from django.http import Http404, HttpRequest
from django.urls import URLPattern, URLResolver

SERVED = frozenset(
    {
        "account_login",
        "account_logout",
        "account_inactive",
        "account_change_password",
        "github_login",
        "github_callback",
        "socialaccount_login_cancelled",
    }
)


def not_served(request: HttpRequest, **kwargs: Any) -> None:
    """Answer 404; the name is kept because allauth reverses it."""
    raise Http404


def only_served(patterns: list[URLPattern | URLResolver]) -> list[URLPattern | URLResolver]:
    return [
        URLResolver(one.pattern, only_served(one.url_patterns), one.default_kwargs)
        if isinstance(one, URLResolver)
        else one
        if one.name in SERVED
        else URLPattern(one.pattern, not_served, one.default_args, one.name)
        for one in patterns
    ]


urlpatterns = only_served(pages)

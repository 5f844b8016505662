"""URLs of allauth's pages that are in use; all others are 404."""

from collections.abc import Callable, Mapping
from typing import Any

from allauth.urls import urlpatterns as pages
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver

from apps.users import openid
from apps.users.sign_in_limits import has_mail

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


WITH_MAIL = frozenset(
    {
        "account_reset_password",
        "account_reset_password_done",
        "account_reset_password_from_key",
        "account_reset_password_from_key_done",
    }
)
"""Pages that are in use where mail can be sent."""


def not_served(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    """Answer 404; the name is kept because allauth reverses it."""
    raise Http404


def with_mail(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Return the view, which is 404 where no mail can be sent."""

    def served(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        return view(request, **kwargs) if has_mail() else not_served(request)

    return served


OURS: Mapping[str | None, Callable[..., HttpResponse]] = {
    "openid_connect_login": openid.login,
    "openid_connect_callback": openid.callback,
}
"""Views that stand in for allauth's."""


def only_served(patterns: list[URLPattern | URLResolver]) -> list[URLPattern | URLResolver]:
    return [
        URLResolver(one.pattern, only_served(one.url_patterns), one.default_kwargs)
        if isinstance(one, URLResolver)
        else URLPattern(one.pattern, view_of(one), one.default_args, one.name)
        for one in patterns
    ]


def view_of(page: URLPattern) -> Callable[..., HttpResponse]:
    """Return the view that answers one of allauth's URLs."""
    if page.name in SERVED:
        return page.callback
    if page.name in WITH_MAIL:
        return with_mail(page.callback)
    return OURS.get(page.name, not_served)


urlpatterns = only_served(pages)

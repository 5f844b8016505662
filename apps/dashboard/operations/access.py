"""Access to the pages of operations: for other users they do not exist."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse

from apps.users.access import is_operator

P = ParamSpec("P")


def for_operators(view: Callable[Concatenate[HttpRequest, P], HttpResponse]) -> Callable[..., HttpResponse]:
    """Let a view answer operators; other users get 404, and who is not signed in is asked to."""

    @login_required
    @wraps(view)
    def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not is_operator(request.user):
            raise Http404("This page is for operators.")
        return view(request, *args, **kwargs)

    return guarded

"""WSGI middleware that passes webhooks directly to the receiver."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, cast

from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIRequest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.functional import cached_property

from apps.webhooks.views import DeliveryView

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class WebhookMiddleware:
    """The WSGI application behind the receiver: GitHub has no session, no form, no frame, no use for a redirect.

    The middleware meant for people, and Django's signals around each request, cost a delivery more than checking its
    signature does. Of what the signals do, one thing is needed: a connection to the database that broke, or is old, is
    given up between two requests.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._view = DeliveryView.as_view()
        self._answer = convert_exception_to_response(self._open)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"].rstrip("/") != self._address:
            return self._application(environ, start_response)
        connection.close_if_unusable_or_obsolete()
        response = cast(HttpResponse, self._answer(WSGIRequest(environ)))
        content = response.content
        headers = [*response.items(), ("Content-Length", str(len(content)))]
        start_response(f"{response.status_code} {HTTPStatus(response.status_code).phrase}", headers)
        return [content]

    def _open(self, request: HttpRequest) -> HttpResponse:
        request.get_host()  # refuses a host that is not ours
        response: HttpResponse = self._view(request).render()
        return response

    @cached_property
    def _address(self) -> str:
        return reverse("webhooks:github").rstrip("/")

"""The short way to the door."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.functional import cached_property

from apps.webhooks.door.views import DeliveryView

Answer = Callable[[HttpRequest], HttpResponseBase]


class DoorFirstMiddleware:
    """Let GitHub past the middleware meant for people: it has no session, no form, no frame and no use for a redirect.

    They cost a delivery more than checking its signature does.
    """

    def __init__(self, get_response: Answer) -> None:
        self._get_response = get_response
        self._door = DeliveryView.as_view()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.rstrip("/") != self._address:
            return self._get_response(request)
        request.get_host()  # refuses a host that is not ours
        response: HttpResponse = self._door(request).render()
        response["Content-Length"] = str(len(response.content))
        return response

    @cached_property
    def _address(self) -> str:
        return reverse("webhooks:github").rstrip("/")

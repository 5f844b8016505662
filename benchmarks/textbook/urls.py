"""The textbook door at the same address, and its readiness."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from benchmarks.textbook.door import TextbookDoor


def ready(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ready")


urlpatterns = [path("webhooks/github/", TextbookDoor.as_view()), path("readyz", ready)]

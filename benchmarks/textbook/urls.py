"""The textbook door at the same address, and its readiness."""

from django.http import HttpRequest, JsonResponse
from django.urls import path

from benchmarks.textbook.door import TextbookDoor


def ready(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ready"})


urlpatterns = [path("webhooks/github/", TextbookDoor.as_view()), path("readyz", ready)]

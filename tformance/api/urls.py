"""Version 1 of the API: each app brings its own addresses."""

from typing import Any

from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.routers import APIRootView
from rest_framework.views import APIView


class NothingThere(APIView):
    """404 for every method at every address that no view of the API answers."""

    schema = None
    permission_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound("There is nothing at this address. The addresses are listed at /api/v1/docs/.")


LISTS = {  # an address each, for whoever asks for /api/v1/ itself
    "teams": "team-list",
    "repositories": "repository-list",
    "pull_requests": "pull-request-list",
    "deliveries": "delivery-list",
    "backfills": "backfill-list",
    "syncs": "sync-list",
    "drift": "drift-list",
    "schema": "api-schema",
    "description": "api-description",
}

urlpatterns = [
    path("", include("apps.teams.api.urls")),
    path("", include("apps.metrics.api.urls")),
    path("", include("apps.webhooks.api.urls")),
    path("", include("apps.integrations.api.urls")),
    path("", APIRootView.as_view(api_root_dict=LISTS)),
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    re_path("", NothingThere.as_view()),
]

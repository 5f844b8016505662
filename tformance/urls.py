"""The URLs of the project and of version 1 of the API."""

from typing import Any

from django.contrib import admin
from django.templatetags.static import static
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.routers import APIRootView
from rest_framework.views import APIView


class NothingThere(APIView):
    """Answer 404 to every method at unknown URLs of the API."""

    schema = None
    permission_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound("This URL does not exist. See /api/v1/docs/ for a list.")


LISTS = {  # the links of /api/v1/ itself
    "teams": "team-list",
    "repositories": "repository-list",
    "pull_requests": "pull-request-list",
    "deployments": "deployment-list",
    "incidents": "incident-list",
    "deliveries": "delivery-list",
    "jobs": "job-list",
    "backfills": "backfill-list",
    "syncs": "sync-list",
    "users": "user-list",
    "drift": "drift-list",
    "schema": "api-schema",
    "description": "api-description",
}

API: list[URLPattern | URLResolver] = [
    path("", include("apps.teams.api.urls")),
    path("", include("apps.metrics.api.urls")),
    path("", include("apps.notifications.api")),
    path("", include("apps.webhooks.api")),
    path("", include("apps.jobs.api")),
    path("", include("apps.integrations.api.urls")),
    path("", APIRootView.as_view(api_root_dict=LISTS)),
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    re_path("", NothingThere.as_view()),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("apps.dashboard.urls")),
    path("", include("apps.monitoring.urls")),
    path("accounts/", include("apps.users.urls")),
    path("admin/", admin.site.urls),
    path("api/v1/", include(API)),
    path("webhooks/", include("apps.webhooks.views")),
    path("favicon.ico", RedirectView.as_view(url=static("dashboard/mark.svg"))),  # browsers ask beside a plain text
]

handler500 = "apps.dashboard.failures.answer_failure"

"""Version 1 of the API: each app brings its own addresses."""

from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView

from tformance.api.nowhere import NothingThere

urlpatterns = [
    path("", include("apps.teams.api.urls")),
    path("", include("apps.metrics.api.urls")),
    path("", include("apps.webhooks.api.urls")),
    path("", include("apps.integrations.api.urls")),
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    re_path("", NothingThere.as_view()),
]

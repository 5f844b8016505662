"""The URLs of the project."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("apps.dashboard.urls")),
    path("", include("apps.monitoring.urls")),
    path("accounts/", include("apps.users.urls")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("tformance.api.urls")),
    path("webhooks/", include("apps.webhooks.urls")),
]

handler500 = "apps.dashboard.views.answer_failure"

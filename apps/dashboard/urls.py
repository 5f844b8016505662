"""URLs of the dashboard."""

from django.urls import include, path
from django.views.generic import RedirectView

from apps.dashboard import deployments, now, pull_requests, views

urlpatterns = [
    path("", views.front, name="front"),
    path("teams/<slug:slug>/", views.team, name="team"),
    path("teams/<slug:slug>/figures/<slug:key>/", views.entities, name="entities"),
    path("deployments/<int:pk>/", deployments.deployment, name="deployment"),
    path("now/", now.now, name="now"),
    path("pull-requests/<int:pk>/", pull_requests.pull_request, name="pull-request"),
    path("backfills/", RedirectView.as_view(pattern_name="jobs"), name="backfills"),
    path("operations/", include("apps.dashboard.operations.urls")),
    path("notes/", views.notes, name="notes"),
    path("notes/read/", views.mark_notes_read, name="mark-notes-read"),
    path("api/v1/docs/", views.api_description, name="api-description"),
]

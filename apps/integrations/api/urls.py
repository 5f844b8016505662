"""Addresses of backfills and of reconciliation."""

from django.urls import path

from apps.integrations.api import views
from apps.integrations.api.serializers import BackfillSerializer
from apps.jobs.api import change_views

changes = change_views(views.OfBackfill, noun="backfill", document=BackfillSerializer)
urlpatterns = [
    path("backfills/", views.BackfillsView.as_view(), name="backfill-list"),
    path("backfills/<int:pk>/", views.BackfillView.as_view(), name="backfill-detail"),
    *(path(f"backfills/<int:pk>/{name}/", view, name=f"backfill-{name}") for name, view in changes.items()),
    path("drift/", views.DriftsView.as_view(), name="drift-list"),
    path("drift/<int:pk>/", views.DriftView.as_view(), name="drift-detail"),
    # The page of a repository shows drift too, which only this app knows.
    path("repositories/<int:github_id>/", views.RepositoryView.as_view(), name="repository-detail"),
    path("syncs/", views.SyncsView.as_view(), name="sync-list"),
    path("syncs/<int:pk>/", views.SyncView.as_view(), name="sync-detail"),
    path("syncs/<int:pk>/repositories/", views.SyncRepositoriesView.as_view(), name="sync-repositories"),
]

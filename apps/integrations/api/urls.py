"""Addresses of backfills and of reconciliation."""

from django.urls import path

from apps.integrations.api import drift, views

urlpatterns = [
    path("backfills/", views.BackfillsView.as_view(), name="backfill-list"),
    path("backfills/<int:pk>/", views.BackfillView.as_view(), name="backfill-detail"),
    path("backfills/<int:pk>/pause/", views.PauseView.as_view(), name="backfill-pause"),
    path("backfills/<int:pk>/resume/", views.ResumeView.as_view(), name="backfill-resume"),
    path("backfills/<int:pk>/cancel/", views.CancelView.as_view(), name="backfill-cancel"),
    path("backfills/<int:pk>/retry/", views.RetryView.as_view(), name="backfill-retry"),
    path("drift/", drift.DriftsView.as_view(), name="drift-list"),
    path("drift/<int:pk>/", drift.DriftView.as_view(), name="drift-detail"),
    # What is known of a repository beside its facts is known here, above the apps that keep them.
    path("repositories/<int:github_id>/", drift.RepositoryView.as_view(), name="repository-detail"),
    path("syncs/", views.SyncsView.as_view(), name="sync-list"),
    path("syncs/<int:pk>/", views.SyncView.as_view(), name="sync-detail"),
    path("syncs/<int:pk>/repositories/", views.SyncRepositoriesView.as_view(), name="sync-repositories"),
]

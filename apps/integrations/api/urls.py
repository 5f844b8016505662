"""Addresses of backfills and of reconciliation."""

from django.urls import path

from apps.integrations.api import syncs, views

urlpatterns = [
    path("backfills/", views.BackfillsView.as_view(), name="backfill-list"),
    path("backfills/<int:pk>/", views.BackfillView.as_view(), name="backfill-detail"),
    path("backfills/<int:pk>/pause/", views.PauseView.as_view(), name="backfill-pause"),
    path("backfills/<int:pk>/resume/", views.ResumeView.as_view(), name="backfill-resume"),
    path("backfills/<int:pk>/cancel/", views.CancelView.as_view(), name="backfill-cancel"),
    path("backfills/<int:pk>/retry/", views.RetryView.as_view(), name="backfill-retry"),
    path("syncs/", syncs.SyncsView.as_view(), name="sync-list"),
    path("syncs/<int:pk>/", syncs.SyncView.as_view(), name="sync-detail"),
    path("syncs/<int:pk>/repositories/", syncs.SyncRepositoriesView.as_view(), name="sync-repositories"),
]

"""Addresses of figures and pull requests."""

from django.urls import path

from apps.metrics.api import figures, pull_requests

urlpatterns = [
    path("teams/<slug:slug>/figures/", figures.FiguresView.as_view(), name="figures"),
    path("teams/<slug:slug>/figures/<slug:key>/", figures.FigureView.as_view(), name="figure"),
    path("teams/<slug:slug>/figures/<slug:key>/entities/", figures.EntitiesView.as_view(), name="figure-entities"),
    path("pull-requests/", pull_requests.PullRequestsView.as_view(), name="pull-request-list"),
    path(
        "pull-requests/<int:repository_id>/<int:number>/",
        pull_requests.PullRequestView.as_view(),
        name="pull-request-detail",
    ),
]

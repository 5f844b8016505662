"""URLs of figures, pull requests, reports, and of teams and repositories with completeness."""

from django.urls import path

from apps.metrics.api import (
    completeness,
    figures,
    goals,
    hourly_figures,
    pull_requests,
    reported_deployments,
    reported_incidents,
    repositories,
    rule_previews,
)

urlpatterns = [
    path("teams/<slug:slug>/figures/", figures.FiguresView.as_view(), name="figures"),
    path("teams/<slug:slug>/hourly-figures/", hourly_figures.HourlyFiguresView.as_view(), name="hourly-figures"),
    path(
        "teams/<slug:slug>/figures/restatements/",
        hourly_figures.RestatementsView.as_view(),
        name="restatements",
    ),
    path("teams/<slug:slug>/figures/<slug:key>/", figures.FigureView.as_view(), name="figure"),
    path("teams/<slug:slug>/figures/<slug:key>/entities/", figures.EntitiesView.as_view(), name="figure-entities"),
    path("teams/<slug:slug>/goals/", goals.GoalsView.as_view(), name="team-goals"),
    path("teams/<slug:slug>/goals/<int:pk>/", goals.GoalView.as_view(), name="team-goal"),
    path("teams/<slug:slug>/previews/", rule_previews.PreviewsView.as_view(), name="team-previews"),
    path(
        "teams/<slug:slug>/pull-requests/<int:repository_id>/<int:number>/explain/",
        pull_requests.ExplanationView.as_view(),
        name="explanation",
    ),
    path("teams/<slug:slug>/", completeness.CompleteTeamView.as_view(), name="team-detail"),
    path("repositories/", repositories.RepositoriesView.as_view(), name="repository-list"),
    path("deployments/", reported_deployments.DeploymentsView.as_view(), name="deployment-list"),
    path("incidents/", reported_incidents.IncidentsView.as_view(), name="incident-list"),
    path("pull-requests/", pull_requests.PullRequestsView.as_view(), name="pull-request-list"),
    path(
        "pull-requests/<int:repository_id>/<int:number>/",
        pull_requests.PullRequestView.as_view(),
        name="pull-request-detail",
    ),
]

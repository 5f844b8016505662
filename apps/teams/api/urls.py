"""URLs of teams; those with completeness are in `apps/metrics/api/urls.py`."""

from django.urls import path

from apps.teams.api import views

urlpatterns = [
    path("teams/", views.TeamsView.as_view(), name="team-list"),
    path("github-teams/", views.GitHubTeamsView.as_view(), name="github-team-list"),
    path("github-teams/<int:github_id>/team/", views.MadeTeamView.as_view(), name="github-team-made"),
    path("teams/<slug:slug>/members/", views.MembersView.as_view(), name="team-members"),
    path("teams/<slug:slug>/members/<int:pk>/", views.MemberView.as_view(), name="team-member"),
    path("teams/<slug:slug>/contributors/", views.ContributorsView.as_view(), name="team-contributors"),
    path("teams/<slug:slug>/repositories/", views.TeamRepositoriesView.as_view(), name="team-repositories"),
    path(
        "teams/<slug:slug>/repositories/<int:repository_id>/",
        views.TeamRepositoryView.as_view(),
        name="team-repository",
    ),
]

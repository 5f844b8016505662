"""URLs of the dashboard."""

from django.urls import include, path
from django.views.generic import RedirectView

from apps.dashboard import (
    account,
    deployments,
    digest,
    invitations,
    notifications,
    now,
    people,
    pull_requests,
    views,
)

urlpatterns = [
    path("", views.front, name="front"),
    path("teams/<slug:slug>/", views.team, name="team"),
    path("teams/<slug:slug>/figures/<slug:key>/", views.entities, name="entities"),
    path("deployments/<int:pk>/", deployments.deployment, name="deployment"),
    path("now/", now.now, name="now"),
    path("pull-requests/<int:pk>/", pull_requests.pull_request, name="pull-request"),
    path("backfills/", RedirectView.as_view(pattern_name="jobs"), name="backfills"),
    path("operations/", include("apps.dashboard.operations.urls")),
    path("teams/<slug:slug>/digest/", digest.digest, name="digest"),
    path("teams/<slug:slug>/digest/stuck/", digest.digest_stuck, name="digest-stuck"),
    path("teams/<slug:slug>/digest/text/", digest.digest_text, name="digest-text"),
    path("teams/<slug:slug>/digest/subscription/", digest.subscribe, name="subscribe-digest"),
    path("teams/<slug:slug>/notifications/", notifications.team_notifications, name="team-notifications"),
    path("teams/<slug:slug>/notifications/channels/", notifications.add, name="add-team-channel"),
    path("teams/<slug:slug>/notifications/stuck/", notifications.change_threshold, name="change-alert-threshold"),
    path("notifications/", notifications.notifications, name="notifications"),
    path("notifications/channels/", notifications.add, name="add-channel"),
    path("notifications/channels/<int:pk>/", notifications.change, name="change-channel"),
    path("unsubscribe/<str:token>/", digest.unsubscribe, name="unsubscribe"),
    path("notes/", views.notes, name="notes"),
    path("notes/read/", views.mark_notes_read, name="mark-notes-read"),
    path("people/", people.people, name="people"),
    path("people/users/", people.users, name="users"),
    path("people/users/change/", people.change_user, name="change-user"),
    path("people/<slug:slug>/invite/", people.invite_person, name="invite-person"),
    path("people/<slug:slug>/invitations/revoke/", people.revoke_invitation, name="revoke-invitation"),
    path("people/<slug:slug>/access/", people.change_access, name="change-access"),
    path("people/<slug:slug>/github-team/", people.make_team, name="make-team"),
    path("invitation/", invitations.accept_invitation, name="accept-invitation"),
    path("invitations/<str:secret>/", invitations.open_link, name="invitation"),
    path("account/", account.account, name="account"),
    path("account/tokens/", account.create_token, name="create-token"),
    path("account/tokens/revoke/", account.revoke_token, name="revoke-token"),
    path("account/mail/", account.change_mail, name="change-mail"),
    path("api/v1/docs/", views.api_description, name="api-description"),
]

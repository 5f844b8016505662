"""URLs of operations."""

from django.urls import path
from django.views.generic import RedirectView

from apps.dashboard.operations import delivery, health, inbox, jobs, reconciliation, starts

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="inbox"), name="operations"),
    path("deliveries/", inbox.inbox, name="inbox"),
    path("deliveries/replay/", inbox.replay_matching, name="replay-matching"),
    path("deliveries/<int:pk>/", delivery.delivery, name="delivery"),
    path("deliveries/<int:pk>/body/", delivery.body, name="delivery-content"),
    path("deliveries/<int:pk>/replay/", delivery.replay_one, name="replay-delivery"),
    path("jobs/", jobs.jobs, name="jobs"),
    path("jobs/start/", starts.start_history, name="start-history"),
    path("jobs/change/", jobs.change, name="change-job"),
    path("jobs/change-history/", jobs.change_history, name="change-history"),
    path("reconciliation/", reconciliation.reconciliation, name="reconciliation"),
    path("reconciliation/<int:pk>/", reconciliation.run, name="reconciliation-run"),
    path("reconciliation/start/", reconciliation.start, name="start-reconciliation"),
    path("reconciliation/repositories/", reconciliation.completeness, name="completeness"),
    path("health/", health.health, name="health"),
    path("health/checks/", health.checks, name="health-checks"),
]

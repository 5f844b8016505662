"""URLs of operations."""

from django.urls import path

from apps.dashboard.operations import delivery, inbox

urlpatterns = [
    path("deliveries/", inbox.inbox, name="inbox"),
    path("deliveries/replay/", inbox.replay_matching, name="replay-matching"),
    path("deliveries/<int:pk>/", delivery.delivery, name="delivery"),
    path("deliveries/<int:pk>/body/", delivery.body, name="delivery-content"),
    path("deliveries/<int:pk>/replay/", delivery.replay_one, name="replay-delivery"),
]

"""The URL of the receiver."""

from django.urls import path

from apps.webhooks.views import DeliveryView

app_name = "webhooks"
urlpatterns = [
    path("github/", DeliveryView.as_view(), name="github"),
    path("github", DeliveryView.as_view()),  # GitHub follows no redirect: an address without its slash must work too
]

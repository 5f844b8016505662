"""Addresses for machines; without a slash at the end, as such addresses are written."""

from django.urls import path

from apps.monitoring import views

urlpatterns = [
    path("livez", views.livez, name="livez"),
    path("readyz", views.readyz, name="readyz"),
    path("metrics", views.metrics, name="metrics"),
]

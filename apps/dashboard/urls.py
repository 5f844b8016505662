"""Addresses of pages for people."""

from django.urls import path

from apps.dashboard import views

urlpatterns = [
    path("", views.front, name="front"),
    path("teams/<slug:slug>/figures/<slug:key>/", views.entities, name="entities"),
    path("api/v1/docs/", views.api_description, name="api-description"),
]

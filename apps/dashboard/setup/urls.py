"""URLs of the setup."""

from django.urls import path

from apps.dashboard.setup import app_registration, page, production, webhook_secret

urlpatterns = [
    path("", page.setup, name="setup"),
    path("app/", app_registration.prepare_app, name="new-app"),
    path("registered/", app_registration.app_registered, name="app-registered"),
    path("secret/", webhook_secret.change_secret, name="setup-secret"),
    path("production/", production.production, name="setup-production"),
]

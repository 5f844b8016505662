"""The letterbox."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "apps.webhooks"

    def ready(self) -> None:
        from apps.webhooks import checks  # noqa: F401, PLC0415  registers them once the settings are there

"""The letterbox."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "apps.webhooks"

    def ready(self) -> None:
        from apps.metrics.completeness.providers import casts_doubt, holds_back  # noqa: PLC0415  models must be loaded first
        from apps.webhooks import checks  # noqa: F401, PLC0415  registers them once the settings are there
        from apps.webhooks.pending import between_nameless_ones, oldest_of_repositories  # noqa: PLC0415

        holds_back(oldest_of_repositories)
        casts_doubt(between_nameless_ones)

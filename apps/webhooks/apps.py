"""The inbox."""

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "apps.webhooks"

    def ready(self) -> None:
        from apps.jobs.registry import Plan, register_plan  # noqa: PLC0415  models must be loaded first
        from apps.metrics.completeness import providers  # noqa: PLC0415  models must be loaded first
        from apps.webhooks import checks, wakeups  # noqa: F401, PLC0415  registers them once the settings are there
        from apps.webhooks.inbox_overview import find_deliveries, pending_of  # noqa: PLC0415  models must be loaded first

        providers.register_pending_deliveries(pending_of)
        providers.register_delivery_lookup(find_deliveries)
        register_plan(Plan(name="deliveries", run=wakeups.dispatch_deliveries, every_s=0))

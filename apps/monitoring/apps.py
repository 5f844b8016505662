from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "apps.monitoring"

    def ready(self) -> None:
        """Register the report of beats, the checks of database connections, and the search for alerts."""
        from apps.common import connections  # noqa: F401, PLC0415  Django is set up now
        from apps.jobs.registry import register  # noqa: PLC0415  models must be loaded first
        from apps.monitoring import alerts, presence  # noqa: F401, PLC0415  Celery and Django are set up now

        register(alerts.KIND)

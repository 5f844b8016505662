from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "apps.monitoring"

    def ready(self) -> None:
        """Register the report of beats, and the checks of database connections."""
        from apps.common import connections  # noqa: F401, PLC0415  Django is set up now
        from apps.monitoring import presence  # noqa: F401, PLC0415  Celery and Django are set up now

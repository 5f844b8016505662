from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "apps.monitoring"

    def ready(self) -> None:
        """Have beats say that they beat."""
        from apps.monitoring import presence  # noqa: F401, PLC0415  Celery and Django are set up now

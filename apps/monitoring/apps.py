from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "apps.monitoring"

    def ready(self) -> None:
        """Have beats say that they beat, and each new session of the database looked at."""
        from apps.common import pooler  # noqa: F401, PLC0415  Django is set up now
        from apps.monitoring import presence  # noqa: F401, PLC0415  Celery and Django are set up now

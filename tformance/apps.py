from django.apps import AppConfig


class TformanceConfig(AppConfig):
    name = "tformance"

    def ready(self) -> None:
        from tformance import checks  # noqa: F401, PLC0415  importing registers them; settings are complete only now

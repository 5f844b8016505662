from django.apps import AppConfig


class MetricsConfig(AppConfig):
    name = "apps.metrics"

    def ready(self) -> None:
        """Have changes looked for by the dispatcher, and a sample compared every night."""
        from apps.jobs.registry import Plan, register, register_plan  # noqa: PLC0415  models must be loaded first
        from apps.metrics import rebuild_sample  # noqa: PLC0415  models must be loaded first
        from apps.metrics.recalculation import dispatch_changes  # noqa: PLC0415  models must be loaded first

        register_plan(Plan(name="changes", run=dispatch_changes, every_s=0))
        register(rebuild_sample.KIND)

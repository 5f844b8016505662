from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    name = "apps.integrations"

    def ready(self) -> None:
        """Register what we make of each event, for which importing a translator module is enough, and what we know."""
        from apps.github.credentials import has_credentials  # noqa: PLC0415  models must be loaded first
        from apps.integrations import checks, discovery, listed_installations, listed_teams, refresh  # noqa: F401, PLC0415  models must be loaded first
        from apps.integrations.backfill import run as backfill_run  # noqa: PLC0415  models must be loaded first
        from apps.integrations.delivery_log import scan_job  # noqa: PLC0415  models must be loaded first
        from apps.integrations.github_sign_in import use_our_api  # noqa: PLC0415  models must be loaded first
        from apps.integrations.reconciliation import repository_verification, run_endings, schedule  # noqa: PLC0415  models must be loaded first
        from apps.integrations.streams import STREAMS  # noqa: PLC0415  models must be loaded first
        from apps.jobs import registry  # noqa: PLC0415  models must be loaded first
        from apps.metrics.completeness.providers import register_credentials_check  # noqa: PLC0415  models must be loaded first
        from apps.metrics.completeness.streams import register_streams  # noqa: PLC0415  models must be loaded first

        use_our_api()
        register_credentials_check(has_credentials)
        register_streams({name: stream.events for name, stream in STREAMS.items()})
        for module in (
            backfill_run,
            discovery,
            listed_installations,
            listed_teams,
            refresh,
            scan_job,
            repository_verification,
        ):
            registry.register(module.KIND)
        for plan in (schedule.PLAN, run_endings.PLAN):
            registry.register_plan(plan)

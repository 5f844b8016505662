from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    name = "apps.integrations"

    def ready(self) -> None:
        """Register what we make of each event, for which importing a translator module is enough, and what we know."""
        from apps.integrations import checks  # noqa: F401, PLC0415  models must be loaded first
        from apps.integrations.github.credentials import has_credentials  # noqa: PLC0415  models must be loaded first
        from apps.integrations.github.translators import (  # noqa: F401, PLC0415  models must be loaded first
            deployments,
            ignored,
            installations,
            issues,
            memberships,
            pull_requests,
            pushes,
            repositories,
        )
        from apps.metrics.told_from_above import can_read_history  # noqa: PLC0415  models must be loaded first

        can_read_history(has_credentials)

from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    name = "apps.integrations"

    def ready(self) -> None:
        """Register what we make of each event: importing a translator module is its registration."""
        from apps.integrations import checks  # noqa: F401, PLC0415  models must be loaded first
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

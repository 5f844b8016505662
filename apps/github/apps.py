from django.apps import AppConfig


class GitHubConfig(AppConfig):
    name = "apps.github"

    def ready(self) -> None:
        """Register what becomes of each event, for which importing its module is enough."""
        from apps.github.events import (  # noqa: F401, PLC0415  models must be loaded first
            deployments,
            ignored,
            installations,
            issues,
            memberships,
            pull_requests,
            pushes,
            repositories,
        )

from importlib import import_module
from pkgutil import iter_modules

from django.apps import AppConfig

from apps.github import events


class GitHubConfig(AppConfig):
    name = "apps.github"

    def ready(self) -> None:
        """Import each module of `events`, which registers its translators: models are loaded by now."""
        for module in iter_modules(events.__path__, prefix=f"{events.__name__}."):
            import_module(module.name)

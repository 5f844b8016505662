"""Where an entity can be looked at on GitHub."""

from urllib.parse import quote

from django.conf import settings

from apps.metrics.figures import Entity


def github_url(entity: Entity) -> str:
    """The entity's page on GitHub, or the nearest there is; empty when the repository's name is not known."""
    if not entity.repository:
        return ""
    repository = f"{settings.GITHUB_URL}/{quote(entity.repository)}"
    match entity.kind:
        case "pull_request":
            return f"{repository}/pull/{entity.number}"
        case "review":
            return f"{repository}/pull/{entity.number}#pullrequestreview-{entity.name}"
        case "commit":
            return f"{repository}/commit/{quote(entity.name)}"
        case _:
            return f"{repository}/deployments"

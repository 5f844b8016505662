"""Where an entity can be looked at on GitHub."""

from urllib.parse import quote

from django.conf import settings

from apps.metrics.figures import Entity


def github_url(entity: Entity) -> str:
    """The entity's page on GitHub; empty when the repository's name is not known.

    GitHub has no page for one deployment: it is the page of the workflow run that deployed, else of the environment,
    at the address that GitHub itself gives as its `html_url`.
    """
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
        case _ if entity.run_id:
            return f"{repository}/actions/runs/{entity.run_id}"
        case _:
            return f"{repository}/deployments/activity_log?environments_filter={quote(entity.title, safe='')}"

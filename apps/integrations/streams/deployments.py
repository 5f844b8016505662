"""The walk through deployments: pages of GraphQL, what REST alone tells, and the last success before `since`."""

from collections.abc import Callable, Mapping

from apps.integrations.reader import Page, PageRequest, Reader
from apps.integrations.streams import deployment_baselines, deployment_details, deployment_pages
from apps.integrations.streams.deployment_pages import A_PAGE, DeploymentPlace, Phase

__all__ = ["Deployments"]

Step = Callable[[PageRequest, Reader, DeploymentPlace], Page]
READ: Mapping[Phase, Step] = {
    Phase.PAGES: deployment_pages.read,
    Phase.DETAILS: deployment_details.read,
    Phase.BASELINES: deployment_baselines.read,
}
STEP_OVER: Mapping[Phase, Step] = {
    Phase.PAGES: deployment_pages.step_over,
    Phase.DETAILS: deployment_details.step_over,
    Phase.BASELINES: deployment_baselines.step_over,
}


class Deployments:
    """Newest first down to `since`, each with all its statuses.

    GitHub orders deployments by creation alone: what was made before `since` and went on after it is kept where a page
    shows it that passes `since`; the rest of it is for webhooks and reconciliation.
    """

    page_size = A_PAGE
    most = A_PAGE

    def read(self, request: PageRequest, reader: Reader) -> Page:
        """The page of the phase that the walk is in."""
        place = DeploymentPlace.from_text(request.cursor)
        return READ[place.phase](request, reader, place)

    def step_over(self, request: PageRequest, reader: Reader) -> Page:
        """The deployment at the cursor by REST, else named."""
        place = DeploymentPlace.from_text(request.cursor)
        return STEP_OVER[place.phase](request, reader, place)

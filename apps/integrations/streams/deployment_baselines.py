"""The last phase: of each environment the last success before `since`, without which the first lead time is unknown."""

from collections.abc import Iterator
from datetime import datetime

from django.contrib.postgres.aggregates import BoolOr
from django.db.models import Count, Exists, OuterRef
from django.db.models.functions import Coalesce

from apps.activity.facts import Fact
from apps.activity.models import Deployment, DeploymentStatus
from apps.github.objects.deployments import deployment_details
from apps.github.payload import parse_time
from apps.github.responses import REFUSALS
from apps.integrations.reader import Page, PageRequest, Reader, RequestFailedError, Skipped
from apps.integrations.streams.deployment_pages import (
    DeploymentPage,
    DeploymentPlace,
    Node,
    Shown,
    address_of,
    page_of,
    read_alone,
    read_page,
)
from apps.integrations.streams.paging import opened
from apps.teams.models import Team

MOST_ENVIRONMENTS = 100
"""Where each pull request has an environment of its own, there are thousands."""
MOST_IN_VAIN = 10
"""Pages of deployments before `since`, none of which had succeeded by then."""


def read(request: PageRequest, reader: Reader, place: DeploymentPlace) -> Page:
    """The page at the place, which is one of the environment that it names first."""
    chosen, skipped = _choose(request, place)
    if chosen is None:
        return page_of((), request=request, then=None)
    page = read_page(request, reader, chosen, is_wanted=lambda node: _is_wanted(node, request))
    return _go_on(page, request, reader, chosen, skipped=[*skipped, *page.skipped])


def step_over(request: PageRequest, reader: Reader, place: DeploymentPlace) -> Page:
    """The one deployment at the place, by REST."""
    chosen, skipped = _choose(request, place)
    if chosen is None:
        return page_of((), request=request, then=None)
    page = read_alone(request, reader, chosen)
    return _go_on(page, request, reader, chosen, skipped=[*skipped, *page.skipped])


def _choose(request: PageRequest, place: DeploymentPlace) -> tuple[DeploymentPlace | None, list[Skipped]]:
    """The place with its environments: those whose last success before the start is older than all that was read."""
    if place.environments:
        return place, []
    lacking = _environments(request.repository_id, since=request.since, reached=parse_time(place.reached))
    left = len(lacking) - MOST_ENVIRONMENTS
    skipped = Skipped(
        what=f"the last success before the start of {left} environments",
        why=f"it is looked for in {MOST_ENVIRONMENTS} environments at the most",
    )
    return place.at(lacking[:MOST_ENVIRONMENTS]), [skipped] if left > 0 else []


def _environments(repository_id: int, *, since: datetime | None, reached: datetime | None) -> list[str]:
    """Production first, then where most is deployed; without those whose success was read between the two times.

    A team's production counts even where nothing is known of it: the next deployment to it may come any day.
    """
    production = {name.lower(): name for name in _production_of_teams()}
    here = Deployment.objects.filter(repository_id=repository_id).exclude(environment="")
    known = dict(
        here.values("environment")
        .annotate(is_for_production=Coalesce(BoolOr("is_production"), False), deployments=Count("github_id"))
        .order_by("-deployments", "environment")
        .values_list("environment", "is_for_production")
    )
    successes = DeploymentStatus.objects.filter(
        deployment_id=OuterRef("github_id"), state="success", created_at__lt=since
    )
    read = here.filter(Exists(successes), created_at__gte=reached, created_at__lt=since)
    found = set(read.values_list("environment", flat=True))
    unseen = [production[name] for name in production.keys() - {name.lower() for name in known}]
    lacking = [*sorted(unseen), *(name for name in known if name not in found)]
    return sorted(lacking, key=lambda name: not (known.get(name) or name.lower() in production))


def _production_of_teams() -> Iterator[str]:
    """What any team calls production; all but a few teams call it the same."""
    for names in Team.objects.order_by().values_list("production_environments", flat=True).distinct():
        yield from names


def _is_wanted(node: Node, request: PageRequest) -> bool:
    """Only what was made before `since`; the rest was read."""
    made_at = parse_time(node.get("createdAt"))
    return made_at is None or request.since is None or made_at < request.since


def _go_on(
    page: DeploymentPage, request: PageRequest, reader: Reader, place: DeploymentPlace, *, skipped: list[Skipped]
) -> Page:
    """The first of the page that had succeeded before `since`, or the page that follows, or the next environment."""
    found = [shown for shown in page.shown if _is_baseline(shown, request)][:1]
    if found:
        facts = _details(found[0], request, reader)
        return page_of(found, request=request, then=place.next_environment(), facts=facts, skipped=skipped)
    in_vain = place.in_vain + bool(page.shown)
    if page.after is None:
        return page_of((), request=request, then=place.next_environment(), skipped=skipped)
    if in_vain >= MOST_IN_VAIN:
        skipped = [*skipped, _given_up(place.environments[0], page)]
        return page_of((), request=request, then=place.next_environment(), skipped=skipped)
    then = place.further(after=page.after, at_most=page.at_most, in_vain=in_vain)
    return page_of((), request=request, then=then, skipped=skipped)


def _is_baseline(shown: Shown, request: PageRequest) -> bool:
    return request.since is not None and shown.created_at < request.since and shown.has_succeeded_before(request.since)


def _details(shown: Shown, request: PageRequest, reader: Reader) -> tuple[Fact, ...]:
    """What REST alone tells of it, which the second phase did not come to."""
    try:
        answer = reader.get(address_of(shown.deployment.id(), request))
    except RequestFailedError as unanswered:
        if unanswered.answer.kind not in REFUSALS:
            raise
        return ()
    return tuple(
        deployment_details(opened(answer.data, path="deployment", answer=answer), repository_id=request.repository_id)
    )


def _given_up(environment: str, page: DeploymentPage) -> Skipped:
    return Skipped(
        what=f"the last success before the start in {environment}",
        why=f"none of the deployments back to {page.last_made} had succeeded",
    )

"""Deployments, newest first down to `since`, each with all its statuses, in four phases.

Pages of GraphQL; what REST alone shows; of each environment the last success before `since`, without which the first
lead time is unknown; and the names of jobs, where several may be services. GitHub orders deployments by creation alone:
what was made before `since` and went on after it is kept where a page shows it that passes `since`; the rest of it is
for webhooks and reconciliation.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.contrib.postgres.aggregates import BoolOr
from django.db.models import Count, Exists, OuterRef
from django.db.models.functions import Coalesce

from apps.activity.facts import Fact
from apps.activity.models import Deployment, DeploymentStatus
from apps.github.objects.deployments import deployment_details
from apps.github.payload import parse_time
from apps.github.probes import newest_of
from apps.github.responses import REFUSALS, Answer, ResponseKind
from apps.integrations.reader import Page, PageRequest, Reader, RequestFailedError, Skipped
from apps.integrations.streams import deployment_jobs, deployment_pages
from apps.integrations.streams.deployment_pages import (
    TOO_MUCH,
    DeploymentCursor,
    DeploymentPage,
    Node,
    Phase,
    Shown,
    address_of,
    page_of,
    read_alone,
    read_page,
)
from apps.integrations.streams.paging import item_reader
from apps.integrations.streams.stream import ReadCost, Stream, Total
from apps.teams.models import Team
from apps.webhooks.parsing import UnusablePayloadError

DETAILS = "the refs and flags of older deployments"


def _read_details(request: PageRequest, reader: Reader, cursor: DeploymentCursor) -> Page:
    """Return a page of REST's listing, newest first as well; what is left where GitHub's list ends is named."""
    try:
        return _details_page(
            _ask_details(request, reader, cursor, size=request.page_size), request, cursor, size=request.page_size
        )
    except RequestFailedError as unanswered:
        if unanswered.answer.kind is not ResponseKind.REJECTED:
            raise
        skipped = [Skipped(what=DETAILS, why=unanswered.answer.message)]
        return page_of((), request=request, then=_after_details(request, cursor), skipped=skipped)


def _skip_details(request: PageRequest, reader: Reader, cursor: DeploymentCursor) -> Page:
    """Return the one deployment at the cursor, which is named where it does not come."""
    try:
        return _details_page(_ask_details(request, reader, cursor, size=1), request, cursor, size=1)
    except RequestFailedError as unanswered:
        if unanswered.answer.kind not in TOO_MUCH:
            raise
        what = f"the ref and flags of deployment {cursor.seen + 1} of the latest"
        skipped = [Skipped(what=what, why=unanswered.answer.message)]
        return page_of((), request=request, then=cursor.seeing(cursor.seen + 1), skipped=skipped)


def _ask_details(request: PageRequest, reader: Reader, cursor: DeploymentCursor, *, size: int) -> Answer:
    """Return the page that the cursor is on; its first deployments were seen already where the size was changed."""
    return reader.get(f"{request.address}/deployments", {"per_page": size, "page": cursor.seen // size + 1})


def _details_page(answer: Answer, request: PageRequest, cursor: DeploymentCursor, *, size: int) -> Page:
    facts, skipped = list[Fact](), list[Skipped]()
    for listed in _known(answer.data, request=request):
        try:
            facts += tuple(
                deployment_details(
                    item_reader(listed, path="deployment", answer=answer), repository_id=request.repository_id
                )
            )
        except UnusablePayloadError as error:
            skipped.append(Skipped(what=f"the ref and flags of deployment {listed.get('id')}", why=str(error)))
    is_last = answer.next_path is None or _has_passed(answer, cursor.reached)
    then = _after_details(request, cursor) if is_last else cursor.seeing((cursor.seen // size + 1) * size)
    return page_of((), request=request, then=then, facts=facts, skipped=skipped)


def _after_details(request: PageRequest, cursor: DeploymentCursor) -> DeploymentCursor | None:
    """Return the page that continues with the baselines, if there can be any that the first phase did not reach."""
    return cursor.baselines() if request.since is not None and cursor.reached is not None else None


def _known(listed: Sequence[Mapping[str, Any]], *, request: PageRequest) -> Iterator[Mapping[str, Any]]:
    """Return those that have a row: nothing is recorded of one whose statuses were not read."""
    ids = [one["id"] for one in listed if isinstance(one.get("id"), int)]
    here = Deployment.objects.filter(repository_id=request.repository_id, github_id__in=ids)
    known = set(here.values_list("github_id", flat=True))
    return (one for one in listed if one.get("id") in known)


def _has_passed(answer: Answer, reached: str | None) -> bool:
    """Return whether the page came to what is older than all that the first phase read."""
    oldest, bound = parse_time(answer.data[-1].get("created_at")) if answer.data else None, parse_time(reached)
    return oldest is not None and bound is not None and oldest < bound


MOST_ENVIRONMENTS = 100
"""Where each pull request has an environment of its own, there are thousands."""
MOST_WITHOUT_SUCCESS = 10
"""Pages of deployments before `since`, none of which had succeeded by then."""


def _read_baseline(request: PageRequest, reader: Reader, cursor: DeploymentCursor) -> Page:
    """Return the page at the cursor, which is one of the environment that it names first."""
    chosen, skipped = _choose(request, cursor)
    if chosen is None:
        return page_of((), request=request, then=None)
    page = read_page(request, reader, chosen, is_wanted=lambda node: _is_earlier(node, request))
    return _go_on_searching(page, request, reader, chosen, skipped=[*skipped, *page.skipped])


def _skip_baseline(request: PageRequest, reader: Reader, cursor: DeploymentCursor) -> Page:
    """Return the one deployment at the cursor, by REST."""
    chosen, skipped = _choose(request, cursor)
    if chosen is None:
        return page_of((), request=request, then=None)
    page = read_alone(request, reader, chosen)
    return _go_on_searching(page, request, reader, chosen, skipped=[*skipped, *page.skipped])


def _choose(request: PageRequest, cursor: DeploymentCursor) -> tuple[DeploymentCursor | None, list[Skipped]]:
    """Return the cursor with its environments: their last success before the start is older than all reading."""
    if cursor.environments:
        return cursor, []
    lacking = _environments(request.repository_id, since=request.since, reached=parse_time(cursor.reached))
    left = len(lacking) - MOST_ENVIRONMENTS
    skipped = Skipped(
        what=f"the last success before the start of {left} environments",
        why=f"it is searched in {MOST_ENVIRONMENTS} environments at the most",
    )
    return cursor.at(lacking[:MOST_ENVIRONMENTS]), [skipped] if left > 0 else []


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


PRODUCTION = "production"


def _production_of_teams() -> Iterator[str]:
    """Return the names that any team gives to production, without patterns; a team without any has the usual one."""
    for names in Team.objects.order_by().values_list("production_environments", flat=True).distinct():
        yield from (name for name in names or [PRODUCTION] if "*" not in name)


def _is_earlier(node: Node, request: PageRequest) -> bool:
    """Return only what was made before `since`; the rest was read."""
    made_at = parse_time(node.get("createdAt"))
    return made_at is None or request.since is None or made_at < request.since


def _go_on_searching(
    page: DeploymentPage, request: PageRequest, reader: Reader, cursor: DeploymentCursor, *, skipped: list[Skipped]
) -> Page:
    """Return the first of the page that had succeeded before `since`, else the next page, else the next environment."""
    found = [shown for shown in page.shown if _is_baseline(shown, request)][:1]
    if found:
        facts = _details_of(found[0], request, reader)
        return page_of(found, request=request, then=cursor.next_environment(), facts=facts, skipped=skipped)
    without_success = cursor.without_success + bool(page.shown)
    if page.after is None:
        return page_of((), request=request, then=cursor.next_environment(), skipped=skipped)
    if without_success >= MOST_WITHOUT_SUCCESS:
        skipped = [*skipped, _given_up(cursor.environments[0], page)]
        return page_of((), request=request, then=cursor.next_environment(), skipped=skipped)
    then = cursor.further(after=page.after, at_most=page.at_most, without_success=without_success)
    return page_of((), request=request, then=then, skipped=skipped)


def _is_baseline(shown: Shown, request: PageRequest) -> bool:
    return request.since is not None and shown.created_at < request.since and shown.has_succeeded_before(request.since)


def _details_of(shown: Shown, request: PageRequest, reader: Reader) -> tuple[Fact, ...]:
    """Return what REST alone shows of it, which the second phase did not reach."""
    try:
        answer = reader.get(address_of(shown.deployment.id(), request))
    except RequestFailedError as unanswered:
        if unanswered.answer.kind not in REFUSALS:
            raise
        return ()
    return tuple(
        deployment_details(
            item_reader(answer.data, path="deployment", answer=answer), repository_id=request.repository_id
        )
    )


def _given_up(environment: str, page: DeploymentPage) -> Skipped:
    return Skipped(
        what=f"the last success before the start in {environment}",
        why=f"none of the deployments back to {page.last_made} had succeeded",
    )


Step = Callable[[PageRequest, Reader, DeploymentCursor], Page]
READ: Mapping[Phase, Step] = {
    Phase.PAGES: deployment_pages.read,
    Phase.DETAILS: _read_details,
    Phase.BASELINES: _read_baseline,
    Phase.JOBS: deployment_jobs.read,
}
SKIP_ITEM: Mapping[Phase, Step] = {
    Phase.PAGES: deployment_pages.skip_item,
    Phase.DETAILS: _skip_details,
    Phase.BASELINES: _skip_baseline,
    Phase.JOBS: deployment_jobs.skip_item,
}


def read(request: PageRequest, reader: Reader) -> Page:
    """Return the page of the phase that the cursor is in."""
    cursor = DeploymentCursor.from_text(request.cursor)
    return _followed_by_jobs(READ[cursor.phase](request, reader, cursor), cursor)


def skip_item(request: PageRequest, reader: Reader) -> Page:
    """Return the deployment at the cursor by REST, else named."""
    cursor = DeploymentCursor.from_text(request.cursor)
    return _followed_by_jobs(SKIP_ITEM[cursor.phase](request, reader, cursor), cursor)


def _followed_by_jobs(page: Page, cursor: DeploymentCursor) -> Page:
    """Return the page; after the last one of other phases, the jobs of what is stored by then are read."""
    if page.cursor is not None or cursor.phase is Phase.JOBS:
        return page
    return replace(page, cursor=cursor.jobs().as_text())


DEPLOYMENTS = Stream(
    name="deployments",
    read=read,
    skip_item=skip_item,
    events=("deployment", "deployment_status"),
    entities=("deployment", "deployment_status"),
    model=Deployment,
    probe=newest_of("deployments"),
    total=Total.of_list("deployments"),
    cost=ReadCost(nested=1),
    unfinished="""
SELECT d.repository_id, min(d.created_at) FROM activity_deployment d
WHERE d.repository_id = ANY(%(ids)s) AND d.created_at > %(since)s AND NOT EXISTS (
    SELECT FROM activity_deploymentstatus s
    WHERE s.deployment_id = d.github_id AND s.state IN ('success', 'failure', 'error', 'inactive')
) GROUP BY 1
""",
)

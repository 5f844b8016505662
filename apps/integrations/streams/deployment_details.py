"""The second phase: what REST alone tells of the deployments that are here by now."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from apps.activity.facts import Fact
from apps.activity.models import Deployment
from apps.github.answers import Answer
from apps.github.objects.deployments import deployment_details
from apps.github.payload import parse_time
from apps.github.responses import Kind
from apps.integrations.reader import Page, PageRequest, Reader, RequestFailedError, Skipped
from apps.integrations.streams.deployment_pages import TOO_MUCH, DeploymentPlace, page_of
from apps.integrations.streams.paging import opened
from apps.webhooks.parsing import UnusablePayloadError

WHAT = "the refs and flags of older deployments"


def read(request: PageRequest, reader: Reader, place: DeploymentPlace) -> Page:
    """A page of REST's listing, newest first as well; where GitHub lists no further, what it leaves open is named."""
    try:
        return _page(_ask(request, reader, place, size=request.page_size), request, place, size=request.page_size)
    except RequestFailedError as unanswered:
        if unanswered.answer.kind is not Kind.REJECTED:
            raise
        skipped = [Skipped(what=WHAT, why=unanswered.answer.verdict.message)]
        return page_of((), request=request, then=_end(request, place), skipped=skipped)


def step_over(request: PageRequest, reader: Reader, place: DeploymentPlace) -> Page:
    """The one deployment at the place, which is named where it does not come."""
    try:
        return _page(_ask(request, reader, place, size=1), request, place, size=1)
    except RequestFailedError as unanswered:
        if unanswered.answer.kind not in TOO_MUCH:
            raise
        what = f"the ref and flags of deployment {place.seen + 1} of the latest"
        skipped = [Skipped(what=what, why=unanswered.answer.verdict.message)]
        return page_of((), request=request, then=place.seeing(place.seen + 1), skipped=skipped)


def _ask(request: PageRequest, reader: Reader, place: DeploymentPlace, *, size: int) -> Answer:
    """The page that the place is on; its first deployments were seen already where the size was changed."""
    return reader.get(f"{request.address}/deployments", {"per_page": size, "page": place.seen // size + 1})


def _page(answer: Answer, request: PageRequest, place: DeploymentPlace, *, size: int) -> Page:
    facts, skipped = list[Fact](), list[Skipped]()
    for listed in _known(answer.data, request=request):
        try:
            facts += tuple(
                deployment_details(
                    opened(listed, path="deployment", answer=answer), repository_id=request.repository_id
                )
            )
        except UnusablePayloadError as error:
            skipped.append(Skipped(what=f"the ref and flags of deployment {listed.get('id')}", why=str(error)))
    is_last = answer.next_path is None or _has_passed(answer, place.reached)
    then = _end(request, place) if is_last else place.seeing((place.seen // size + 1) * size)
    return page_of((), request=request, then=then, facts=facts, skipped=skipped)


def _end(request: PageRequest, place: DeploymentPlace) -> DeploymentPlace | None:
    """On to the baselines, where there can be any that the first phase did not come to."""
    return place.baselines() if request.since is not None and place.reached is not None else None


def _known(listed: Sequence[Mapping[str, Any]], *, request: PageRequest) -> Iterator[Mapping[str, Any]]:
    """Those that have a row: nothing is told of one whose statuses nobody read."""
    ids = [one["id"] for one in listed if isinstance(one.get("id"), int)]
    here = Deployment.objects.filter(repository_id=request.repository_id, github_id__in=ids)
    known = set(here.values_list("github_id", flat=True))
    return (one for one in listed if one.get("id") in known)


def _has_passed(answer: Answer, reached: str | None) -> bool:
    """Whether the page came to what is older than all that the first phase read."""
    oldest, bound = parse_time(answer.data[-1].get("created_at")) if answer.data else None, parse_time(reached)
    return oldest is not None and bound is not None and oldest < bound

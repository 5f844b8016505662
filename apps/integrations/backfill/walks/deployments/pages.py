"""The first phase: every deployment down to `since`."""

from collections.abc import Iterable
from datetime import datetime

from apps.github.payload import parse_time
from apps.integrations.backfill.walking import Errand, Page, Reader
from apps.integrations.backfill.walks.deployments.place import DeploymentPlace
from apps.integrations.backfill.walks.deployments.reading import Node, read_alone, read_page
from apps.integrations.backfill.walks.deployments.shown import DeploymentPage, Shown, page_of


def read(errand: Errand, reader: Reader, place: DeploymentPlace) -> Page:
    """The page at the place."""
    page = read_page(errand, reader, place, is_wanted=lambda node: _is_wanted(node, errand))
    return _go_on(page, errand, place)


def step_over(errand: Errand, reader: Reader, place: DeploymentPlace) -> Page:
    """The one deployment at the place, by REST."""
    return _go_on(read_alone(errand, reader, place), errand, place)


def _is_wanted(node: Node, errand: Errand) -> bool:
    """Everything but what was made later than is asked for."""
    made_at = parse_time(node.get("createdAt"))
    return errand.until is None or made_at is None or made_at <= errand.until


def _go_on(page: DeploymentPage, errand: Errand, place: DeploymentPlace) -> Page:
    """What is kept of the page; the page that passes `since` is the last, and shows baselines for nothing."""
    kept = [shown for shown in page.shown if _is_asked_for(shown, errand)]
    kept += [shown for shown in _baselines(page.shown, since=errand.since) if shown not in kept]
    if page.after is None:
        then = place.details(reached=None)
    elif _has_passed(page.last_made, errand.since):
        then = place.details(reached=page.last_made)
    else:
        then = place.further(after=page.after, at_most=page.at_most)
    total = page.total if errand.since is None and errand.until is None else None
    return page_of(kept, errand=errand, then=then, total=total, skipped=page.skipped)


def _is_asked_for(shown: Shown, errand: Errand) -> bool:
    """`since` bounds what was updated, `until` what was made."""
    is_old = errand.since is not None and max(shown.created_at, shown.updated_at) < errand.since
    is_new = errand.until is not None and shown.created_at > errand.until
    return not is_old and not is_new


def _baselines(page: Iterable[Shown], *, since: datetime | None) -> list[Shown]:
    """Of each environment, the last that was made before `since` and had succeeded by then."""
    found: dict[str, Shown] = {}
    for shown in page:
        if since is not None and shown.created_at < since and shown.has_succeeded_before(since):
            found.setdefault(shown.environment, shown)
    return list(found.values())


def _has_passed(last_made: str | None, since: datetime | None) -> bool:
    made_at = parse_time(last_made)
    return since is not None and made_at is not None and made_at < since

"""The walk through workflow runs: REST alone has them, and lists a thousand of any search."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from apps.activity.facts import Fact
from apps.integrations.backfill.walking import Errand, Page, Reader, Skipped, Unanswered
from apps.integrations.backfill.walks.run_windows import MOST_LISTED, RunPlace, RunWindow, whole_seconds
from apps.integrations.backfill.walks.strangers import refuse_stranger
from apps.integrations.github.answers import Answer
from apps.integrations.github.reading import Reading, parse_time
from apps.integrations.github.snapshots.deployments import workflow_run_facts
from apps.integrations.github.verdicts import Kind
from apps.webhooks.errors import UnusablePayload

A_PAGE, TEN = 100, 10
BEFORE_ACTIONS = datetime(2018, 10, 1, tzinfo=UTC)
"""No run is older, whatever the age of its repository: GitHub Actions was first shown in October 2018."""

NOT_HERE = {Kind.FORBIDDEN, Kind.GONE}
TOO_MUCH = {Kind.SHRINK, Kind.TRANSIENT}
NO_PERMISSION = "not accessible"
"""In GitHub's words to an App that was not given a permission: somebody has to look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Runs of one page, and how many there are in its window."""

    runs: tuple[Mapping[str, Any], ...]
    total: int
    answer: Answer

    @property
    def oldest(self) -> datetime | None:
        return min((at for run in self.runs if (at := parse_time(run.get("created_at")))), default=None)


class WorkflowRuns:
    """Newest first, in windows of creation whose ends stand still: what is created meanwhile moves no page.

    A run shows its last attempt only. `since` is about creation here, as GitHub has no order by update: what is run
    again later is found by its webhook or by reconciliation.
    """

    page_size = A_PAGE
    most = A_PAGE

    def read(self, errand: Errand, reader: Reader) -> Page:
        """A page of the latest window; a window of too many is cut instead, which brings no runs yet."""
        place = place_of(errand)
        if not place.windows:
            return _page(place)
        try:
            listed = _ask(errand, reader, place.windows[0], page=place.page, size=A_PAGE)
        except Unanswered as unanswered:
            return _without(unanswered, errand, reader, place)
        return _go_on([listed], errand, place)

    def step_over(self, errand: Errand, reader: Reader) -> Page:
        """The page ten runs at a time; a ten that does not come either is named."""
        place = place_of(errand)
        found, missing = _tens(errand, reader, place)
        if not found:
            raise missing[max(missing)]
        skipped = (_missing(unanswered, place.windows[0], ten=ten) for ten, unanswered in missing.items())
        return _go_on(found, errand, place, skipped=skipped)


def place_of(errand: Errand) -> RunPlace:
    """Where the errand is; at its start, one window of all that is asked for."""
    if errand.cursor:
        return RunPlace.from_text(errand.cursor)
    start, end = whole_seconds(errand.since or BEFORE_ACTIONS), whole_seconds(errand.until or errand.started_at)
    return RunPlace(windows=(RunWindow(start=start, end=end),) if start <= end else ())


def _tens(errand: Errand, reader: Reader, place: RunPlace) -> tuple[list[Listed], dict[int, Unanswered]]:
    """What comes of the page in pages of ten, and by its number each that does not."""
    found, missing = list[Listed](), dict[int, Unanswered]()
    for ten in range((place.page - 1) * A_PAGE // TEN + 1, place.page * A_PAGE // TEN + 1):
        try:
            found.append(_ask(errand, reader, place.windows[0], page=ten, size=TEN))
        except Unanswered as unanswered:
            if unanswered.answer.kind not in TOO_MUCH:
                raise
            missing[ten] = unanswered
        if found and ten * TEN >= found[-1].total:
            break
    return found, missing


def _ask(errand: Errand, reader: Reader, window: RunWindow, *, page: int, size: int) -> Listed:
    parameters = {"created": window.created, "per_page": size, "page": page, "exclude_pull_requests": "true"}
    answer = reader.get(f"/repos/{errand.full_name}/actions/runs", parameters)
    listing = Reading(answer.data, path="runs", arrived_at=_told_at(answer))
    runs = tuple(run if isinstance(run, Mapping) else {} for run in answer.data.get("workflow_runs") or ())
    for known in [run["repository"] for run in runs if run.get("repository")][:1]:
        refuse_stranger(answer, repository_id=known.get("id"), errand=errand)
    return Listed(runs=runs, total=listing.count("total_count"), answer=answer)


def _go_on(listed: list[Listed], errand: Errand, place: RunPlace, *, skipped: Iterable[Skipped] = ()) -> Page:
    total, window = listed[0].total, place.windows[0]
    if place.page == 1 and total >= MOST_LISTED and not window.is_a_second:
        return _page(place.instead(window.cut(oldest_of_page=listed[0].oldest), total=total))
    return _kept(listed, errand, place, skipped=skipped)


def _kept(listed: list[Listed], errand: Errand, place: RunPlace, *, skipped: Iterable[Skipped]) -> Page:
    facts, unusable, total = list[Fact](), list(skipped), listed[-1].total
    for page in listed:
        for run in page.runs:
            try:
                facts += tuple(workflow_run_facts(_reading(run, page.answer), repository_id=errand.repository_id))
            except UnusablePayload as error:
                unusable.append(Skipped(what=f"workflow run {run.get('id')}", why=str(error)))
    items = sum(len(page.runs) for page in listed)
    is_last = not items or place.page * A_PAGE >= min(total, MOST_LISTED)
    if is_last and total >= MOST_LISTED:
        unusable.append(_unreachable(place.windows[0], total=total))
    then = place.instead((), total=total) if is_last else place.next_page(total=total)
    return _page(then, facts=tuple(facts), items=items, skipped=tuple(unusable))


def _page(place: RunPlace, *, facts: tuple[Fact, ...] = (), items: int = 0, skipped: tuple[Skipped, ...] = ()) -> Page:
    cursor = place.as_text() if place.windows else None
    return Page(facts=facts, cursor=cursor, items=items, total=place.total, skipped=skipped)


def _reading(run: Mapping[str, Any], answer: Answer) -> Reading:
    return Reading(run, path="workflow_run", arrived_at=_told_at(answer), observed_at=answer.observed_at)


def _told_at(answer: Answer) -> datetime:
    return answer.observed_at or datetime.now(UTC)


def _unreachable(window: RunWindow, *, total: int) -> Skipped:
    return Skipped(
        what=f"workflow runs created in {window.created} beyond the first {MOST_LISTED:,}",
        why=f"GitHub counts {total:,} of them and lists no more",
    )


def _missing(unanswered: Unanswered, window: RunWindow, *, ten: int) -> Skipped:
    what = f"workflow runs {(ten - 1) * TEN + 1} to {ten * TEN} of those created in {window.created}"
    return Skipped(what=what, why=unanswered.answer.verdict.message)


def _without(unanswered: Unanswered, errand: Errand, reader: Reader, place: RunPlace) -> Page:
    """Where the listing ends: beyond a cap the window's rest is named, without Actions there is nothing to walk."""
    answer = unanswered.answer
    if answer.kind is Kind.REJECTED and place.page > 1:
        first = (place.page - 1) * A_PAGE
        what = f"workflow runs created in {place.windows[0].created} beyond the first {first:,}"
        return _page(place.instead((), total=0), skipped=(Skipped(what=what, why=answer.verdict.message),))
    if answer.kind in NOT_HERE and NO_PERMISSION not in answer.verdict.message.lower() and _is_there(errand, reader):
        skipped = Skipped(what="workflow runs", why=f"GitHub Actions shows none: {answer.verdict.message}")
        return Page(facts=(), cursor=None, items=0, skipped=(skipped,))
    raise unanswered


def _is_there(errand: Errand, reader: Reader) -> bool:
    """Whether it is the runs that are not there, and not the repository."""
    try:
        answer = reader.get(f"/repos/{errand.full_name}")
    except Unanswered as unanswered:
        if unanswered.answer.kind in NOT_HERE:
            return False
        raise
    return bool(answer.data.get("id") == errand.repository_id)

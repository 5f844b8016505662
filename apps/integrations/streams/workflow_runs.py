"""Workflow runs, newest first: REST alone has them, and lists a thousand of any search.

They are read in windows of creation with fixed ends: what is created meanwhile moves no page. The list shows the last
attempt of a run only; the earlier ones that are not stored follow, each by a request of its own. `since` is about
creation here, as GitHub has no order by update: what is run again later is found by its webhook or by reconciliation.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from apps.activity.facts import Fact
from apps.activity.models import WorkflowRun
from apps.common import db
from apps.github.objects.deployments import workflow_run_facts
from apps.github.payload import BIGGEST_ID, PayloadReader, parse_time, write_time
from apps.github.probes import ProbedStream, StreamProbe
from apps.github.responses import CORE, REFUSALS, Answer, ResponseKind
from apps.integrations.reader import Page, PageRequest, Reader, RequestFailedError, Skipped, ensure_same_repository
from apps.integrations.streams.paging import item_reader
from apps.integrations.streams.stream import Listing, ReadCost, Stream
from apps.webhooks.parsing import UnusablePayloadError

MOST_LISTED = 1000
"""GitHub lists no more of a filtered search, however many it counts."""
AIM = 800
"""How many runs the later part of a window is to hold, if they came as evenly as those on its first page."""
FEW = 10
"""Too few runs to see how evenly they are spread."""
SECOND = timedelta(seconds=1)
ATTEMPTS_AT_ONCE = 10
MOST_EARLIER = 5
"""Of one run, the latest of them: which of many failed says little more."""
Attempt = tuple[int, int]
"""A run by its id, and which attempt of it."""
FIRST: Attempt = (BIGGEST_ID, 0)
"""Before which all attempts are, in the order of reading."""

MISSING = """
    SELECT run_id, number
    FROM (
        SELECT run_id, max(attempt) AS last FROM activity_workflowrun
        WHERE repository_id = %(repository_id)s AND attempt > 1 AND run_id <= %(run_id)s
          AND created_at >= coalesce(%(since)s, '-infinity'::timestamptz)
          AND created_at <= coalesce(%(until)s, 'infinity'::timestamptz)
        GROUP BY run_id
    ) AS again CROSS JOIN LATERAL generate_series(greatest(1, last - %(most)s), last - 1) AS number
    WHERE (run_id, number) < (%(run_id)s, %(number)s) AND NOT EXISTS (
        SELECT FROM activity_workflowrun AS kept
        WHERE (kept.repository_id, kept.run_id, kept.attempt) = (%(repository_id)s, again.run_id, number)
          AND kept.concluded_at IS NOT NULL
    )
    ORDER BY run_id DESC, number DESC LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWindow:
    """From one second to another, both in it."""

    start: datetime
    end: datetime

    @property
    def created(self) -> str:
        """Return the filter of GitHub's listing."""
        return f"{write_time(self.start)}..{write_time(self.end)}"

    @property
    def is_a_second(self) -> bool:
        return self.start == self.end

    def cut(self, page: Sequence[datetime]) -> tuple["RunWindow", "RunWindow"]:
        """Return the later part and the earlier part; `page` is when the runs of its first page were created.

        The later reaches back half of the way at the most, so that however runs came, a few cuts are enough.
        """
        newest = max(page, default=self.end)
        later = self.start + (newest - self.start) // 2
        if len(page) >= FEW:
            later = max(later, newest - AIM * (newest - min(page)) // len(page))
        later = min(max(later.replace(microsecond=0), self.start + SECOND), self.end)
        return RunWindow(start=later, end=self.end), RunWindow(start=self.start, end=later - SECOND)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCursor:
    """How far runs were read: windows still to be read, the latest first, and how many of it were `seen`."""

    windows: tuple[RunWindow, ...]
    seen: int = 0
    total: int | None = None
    """How many runs there are in all windows together, once GitHub said."""
    attempt: Attempt | None = None
    """The earlier attempt that was asked for last, once all windows are read."""

    def as_text(self) -> str:
        windows = [[write_time(window.start), write_time(window.end)] for window in self.windows]
        return json.dumps({"windows": windows, "seen": self.seen, "total": self.total, "attempt": self.attempt})

    @classmethod
    def from_text(cls, cursor: str) -> "RunCursor":
        read = json.loads(cursor)
        windows = tuple(
            RunWindow(start=datetime.fromisoformat(start), end=datetime.fromisoformat(end))
            for start, end in read["windows"]
        )
        attempt = read.get("attempt")  # a cursor of an earlier version has none
        return cls(windows=windows, seen=read["seen"], total=read["total"], attempt=attempt and tuple(attempt))

    def page(self, size: int) -> int:
        """Return the page to ask for; its first runs were seen already where the size was changed."""
        return self.seen // size + 1

    def counting(self, total: int) -> "RunCursor":
        """Return the same, once GitHub said how many there are: the first number is that of all windows together."""
        return self if self.total is not None else replace(self, total=total)

    def instead(self, *windows: RunWindow) -> "RunCursor":
        """Return the same with other windows in place of the first, or none."""
        return replace(self, windows=(*windows, *self.windows[1:]), seen=0)

    def further(self, seen: int) -> "RunCursor":
        return replace(self, seen=seen)


def whole_seconds(at: datetime) -> datetime:
    """GitHub's times have none but whole seconds."""
    return at.astimezone(UTC).replace(microsecond=0)


BEFORE_ACTIONS = datetime(2018, 10, 1, tzinfo=UTC)
"""No run is older, whatever the age of its repository: GitHub Actions was first shown in October 2018."""

NOT_HERE = {ResponseKind.FORBIDDEN, ResponseKind.GONE}
TOO_MUCH = {ResponseKind.SHRINK, ResponseKind.TRANSIENT}
NO_PERMISSION = "not accessible"
"""In GitHub's words to an App that was not given a permission: an owner has to give it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """Runs of one page, and how many there are in its window."""

    runs: tuple[Mapping[str, Any], ...]
    total: int
    answer: Answer

    @property
    def created(self) -> list[datetime]:
        return [at for run in self.runs if (at := parse_time(run.get("created_at")))]


def read(request: PageRequest, reader: Reader) -> Page:
    """Return a page of the latest window; a window of too many is cut instead, which brings no runs yet."""
    cursor = cursor_of(request)
    if not cursor.windows:
        return _read_attempts(request, reader, cursor, limit=ATTEMPTS_AT_ONCE, passed_over=REFUSALS)
    try:
        listed = _ask(request, reader, cursor, size=request.page_size)
    except RequestFailedError as unanswered:
        return _without(unanswered, request, reader, cursor)
    return _go_on(listed, request, cursor, size=request.page_size)


def skip_item(request: PageRequest, reader: Reader) -> Page:
    """Return the one run at the cursor, or an earlier attempt, which is named where it does not come."""
    cursor = cursor_of(request)
    if not cursor.windows:
        return _read_attempts(request, reader, cursor, limit=1, passed_over=REFUSALS | TOO_MUCH)
    try:
        listed = _ask(request, reader, cursor, size=1)
    except RequestFailedError as unanswered:
        if unanswered.answer.kind not in TOO_MUCH:
            raise
        return _page(cursor.further(cursor.seen + 1), skipped=(_missing(unanswered, cursor),))
    return _go_on(listed, request, cursor, size=1)


def cursor_of(request: PageRequest) -> RunCursor:
    """Return the cursor of the request; at its start, one window of all that is asked for."""
    if request.cursor:
        return RunCursor.from_text(request.cursor)
    start, end = whole_seconds(request.since or BEFORE_ACTIONS), whole_seconds(request.until or request.started_at)
    return RunCursor(windows=(RunWindow(start=start, end=end),) if start <= end else ())


def _ask(request: PageRequest, reader: Reader, cursor: RunCursor, *, size: int) -> RunPage:
    parameters = {"created": cursor.windows[0].created, "per_page": size, "page": cursor.page(size)}
    answer = reader.get(f"{request.address}/actions/runs", {**parameters, "exclude_pull_requests": "true"})
    listing = PayloadReader(answer.data, path="runs", arrived_at=_answered_at(answer))
    runs = tuple(run if isinstance(run, Mapping) else {} for run in answer.data.get("workflow_runs") or ())
    for known in [run["repository"] for run in runs if run.get("repository")][:1]:
        ensure_same_repository(answer, repository_id=known.get("id"), request=request)
    return RunPage(runs=runs, total=listing.count("total_count"), answer=answer)


def _go_on(listed: RunPage, request: PageRequest, cursor: RunCursor, *, size: int) -> Page:
    cursor, window = cursor.counting(listed.total), cursor.windows[0]
    if listed.total >= MOST_LISTED and not window.is_a_second:
        return _page(cursor.instead(*window.cut(listed.created)))
    facts, skipped = list[Fact](), list[Skipped]()
    for run in listed.runs:
        try:
            facts += tuple(workflow_run_facts(_reading(run, listed.answer), repository_id=request.repository_id))
        except UnusablePayloadError as error:
            skipped.append(Skipped(what=f"workflow run {run.get('id')}", why=str(error)))
    seen = cursor.page(size) * size
    is_last = not listed.runs or seen >= min(listed.total, MOST_LISTED)
    if is_last and listed.total >= MOST_LISTED:
        skipped.append(_unreachable(window, total=listed.total))
    items = max(0, len(listed.runs) - cursor.seen % size)
    then = cursor.instead() if is_last else cursor.further(seen)
    return _page(then, facts=tuple(facts), items=items, skipped=tuple(skipped))


def _page(
    cursor: RunCursor, *, facts: tuple[Fact, ...] = (), items: int = 0, skipped: tuple[Skipped, ...] = ()
) -> Page:
    return Page(facts=facts, cursor=cursor.as_text(), items=items, total=cursor.total, skipped=skipped)


def _reading(run: Mapping[str, Any], answer: Answer) -> PayloadReader:
    return PayloadReader(run, path="workflow_run", arrived_at=_answered_at(answer), observed_at=answer.observed_at)


def _answered_at(answer: Answer) -> datetime:
    return answer.observed_at or datetime.now(UTC)


def _unreachable(window: RunWindow, *, total: int) -> Skipped:
    return Skipped(
        what=f"workflow runs created in {window.created} beyond the first {MOST_LISTED:,}",
        why=f"GitHub counts {total:,} of them and lists no more",
    )


def _missing(unanswered: RequestFailedError, cursor: RunCursor) -> Skipped:
    what = f"workflow run {cursor.seen + 1} of those created in {cursor.windows[0].created}"
    return Skipped(what=what, why=unanswered.answer.message)


def _without(unanswered: RequestFailedError, request: PageRequest, reader: Reader, cursor: RunCursor) -> Page:
    """Return the page where the listing ends: the rest beyond a cap is named; without Actions nothing is read."""
    answer = unanswered.answer
    if answer.kind is ResponseKind.REJECTED and cursor.seen:
        what = f"workflow runs created in {cursor.windows[0].created} beyond the first {cursor.seen:,}"
        return _page(cursor.instead(), skipped=(Skipped(what=what, why=answer.message),))
    if answer.kind in NOT_HERE and NO_PERMISSION not in answer.message.lower() and _is_there(request, reader):
        skipped = Skipped(what="workflow runs", why=f"GitHub Actions shows none: {answer.message}")
        return Page(facts=(), cursor=None, items=0, skipped=(skipped,))
    raise unanswered


def _is_there(request: PageRequest, reader: Reader) -> bool:
    """Return whether it is the runs that are not there, and not the repository."""
    try:
        answer = reader.get(request.address)
    except RequestFailedError as unanswered:
        if unanswered.answer.kind in NOT_HERE:
            return False
        raise
    return bool(answer.data.get("id") == request.repository_id)


def _read_attempts(
    request: PageRequest, reader: Reader, cursor: RunCursor, *, limit: int, passed_over: Collection[ResponseKind]
) -> Page:
    """Return a page of the next missing attempts, those of the newest runs first; the last where none is missing."""
    before = cursor.attempt or FIRST
    facts, skipped, missing = list[Fact](), list[Skipped](), _attempts_missing(request, before=before, limit=limit)
    for attempt in missing:
        try:
            facts += _facts_of(attempt, request, reader)
        except UnusablePayloadError as error:
            skipped.append(_skipped(attempt, str(error)))
        except RequestFailedError as unanswered:
            answer = unanswered.answer
            if answer.kind not in passed_over:
                raise
            skipped.append(_skipped(attempt, answer.message))
            if answer.kind is ResponseKind.FORBIDDEN:  # and so are all others
                missing = []
                break
    then = replace(cursor, attempt=missing[-1]).as_text() if len(missing) == limit else None
    return Page(facts=tuple(facts), cursor=then, items=0, total=cursor.total, skipped=tuple(skipped))


def _attempts_missing(request: PageRequest, *, before: Attempt, limit: int) -> list[Attempt]:
    asked: dict[str, int | datetime | None] = {
        "repository_id": request.repository_id,
        "since": request.since and whole_seconds(request.since),
        "until": request.until,
        "run_id": before[0],
        "number": before[1],
        "most": MOST_EARLIER,
        "limit": limit,
    }
    return db.run(MISSING, asked)


def _facts_of(attempt: Attempt, request: PageRequest, reader: Reader) -> list[Fact]:
    run_id, number = attempt
    path = f"{request.address}/actions/runs/{run_id}/attempts/{number}"
    answer = reader.get(path, {"exclude_pull_requests": "true"})
    run = item_reader(answer.data, path="workflow_run", answer=answer)
    ensure_same_repository(answer, repository_id=run.child("repository").id(), request=request)
    return list(workflow_run_facts(run, repository_id=request.repository_id))


def _skipped(attempt: Attempt, why: str) -> Skipped:
    return Skipped(what=f"attempt {attempt[1]} of workflow run {attempt[0]}", why=why)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunListing(Listing):
    """The list of runs, whose answer has its length."""

    def parameters(self, since: datetime | None) -> dict[str, Any]:
        """Return the parameters of a list of runs created since this time, one a page."""
        now = whole_seconds(datetime.now(UTC))
        window = {"created": RunWindow(start=whole_seconds(since), end=now).created} if since else {}
        return {"per_page": 1, **window}

    def length(self, answer: Answer) -> int | None:
        """Return how many the answer says there are; None if it does not say."""
        total = answer.data.get("total_count") if isinstance(answer.data, Mapping) else None
        return total if isinstance(total, int) else None


def _probed(found: Mapping[str, Any]) -> ProbedStream:
    return ProbedStream(mark={"pushed_at": found["pushedAt"]}, moved_at=parse_time(found["pushedAt"]))


WORKFLOW_RUNS = Stream(
    name="workflow_runs",
    read=read,
    skip_item=skip_item,
    events=("workflow_run",),
    entities=("workflow_run",),
    model=WorkflowRun,
    probe=StreamProbe(read=_probed),
    total=RunListing(path="/actions/runs"),
    cost=ReadCost(resource=CORE, call_s=0.6, item_s=0.01),
    unfinished="""
SELECT repository_id, min(created_at) FROM activity_workflowrun
WHERE repository_id = ANY(%(ids)s) AND NOT status = 'completed' AND created_at > %(since)s GROUP BY 1
""",
    is_run_again=True,
)

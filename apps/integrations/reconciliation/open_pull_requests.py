"""Pull requests that are open as far as we know: what of them GitHub shows otherwise is read whole.

Not every change of a pull request moves it in GitHub's list, and one whose webhook was lost looks open for ever.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from django.db import transaction

from apps.activity.facts import evidence
from apps.activity.record import record
from apps.common import db
from apps.github.payload import parse_time
from apps.github.probes import MOST_PULL_REQUESTS, ProbeRequest, probe_query, read_probe
from apps.github.responses import REFUSALS, ResponseKind
from apps.integrations.drift import count_drift, source_of
from apps.integrations.reader import Reader, RequestFailedError
from apps.integrations.reconciliation.local_state import OpenPullRequest
from apps.integrations.refresh_queries import MOST, Read, Wanted, read_by_number
from apps.integrations.streams.pull_request_parts import PullRequestCursor
from apps.integrations.streams.pull_requests import fetch_part, skip_part
from apps.webhooks.parsing import WRONG_SHAPE
from apps.webhooks.translate import describe

Item = TypeVar("Item")
Json = Mapping[str, Any]
LONGEST_WAIT_S = 12.0
TOO_LONG = "Its lists take too long to read."
logger = logging.getLogger(__name__)


def is_stale(ours: OpenPullRequest, shown: Json) -> bool:
    """Whether GitHub shows it otherwise than we have it."""
    state = str(shown.get("state")).lower()
    shown = {
        "title": shown.get("title"),
        "state": "closed" if state == "merged" else state,
        "is_draft": shown.get("isDraft"),
        "updated_at": parse_time(shown.get("updatedAt")),
        "closed_at": parse_time(shown.get("closedAt")),
        "merged_at": parse_time(shown.get("mergedAt")),
        "base_ref": shown.get("baseRefName"),
        "head_ref": shown.get("headRefName"),
        "head_sha": shown.get("headRefOid"),
    }
    return any(getattr(ours, name) != value for name, value in shown.items())


def read_open(requests: Sequence[ProbeRequest], *, reader: Reader) -> dict[int, dict[int, Json]]:
    """These pull requests as GitHub shows them now, by repository and number, a hundred in a request of one point."""
    shown: dict[int, dict[int, Json]] = {request.repository_id: {} for request in requests}
    every = [(request, number) for request in requests for number in request.numbers]
    for some in _some(every, MOST_PULL_REQUESTS):
        numbers: dict[int, list[int]] = {}
        for request, number in some:
            numbers.setdefault(request.repository_id, []).append(number)
        asked = [
            replace(request, numbers=tuple(numbers[request.repository_id]), is_probed=False)
            for request in requests
            if request.repository_id in numbers
        ]
        try:
            answer = reader.query(*probe_query(asked, streams={}))
        except RequestFailedError as unanswered:
            if unanswered.answer.kind is not ResponseKind.GONE:
                raise
            continue
        for at, request in enumerate(asked):
            found = read_probe(answer.data, at, request=request, streams={})
            shown[request.repository_id] |= found.pull_requests if found else {}
    return shown


def read_stale(
    stale: Sequence[tuple[OpenPullRequest, str]], *, reader: Reader, sync_ids: Mapping[int, int], deadline_s: float
) -> dict[int, str]:
    """Read these pull requests, each beside its repository's name, with all that belongs to them, and record them.

    Return, by repository, why something could not be read, in GitHub's words.
    """
    problems: dict[int, str] = {}
    for some in _some(stale, MOST):
        wanted = [
            Wanted(id=0, repository_id=one.repository_id, full_name=name, number=one.number, head_sha=one.head_sha)
            for one, name in some
        ]
        for read in read_by_number(wanted, reader=reader):
            pull_request = read.wanted
            why = _finish(read, reader=reader, sync_id=sync_ids[pull_request.repository_id], deadline_s=deadline_s)
            if why:
                problems[pull_request.repository_id] = f"pull request {pull_request.number}: {why}"
    if stale:
        logger.info("open_pull_requests_read", extra={"count": len(stale), "problems": len(problems)})
    return problems


def _finish(read: Read, *, reader: Reader, sync_id: int, deadline_s: float) -> str:
    """Record it, and what its lists still owe; why it is not all there, if it is not."""
    _record(read, sync_id=sync_id)
    pending, why = list(read.found.pending), [read.why] if read.why else []
    while pending:
        if time.monotonic() >= deadline_s:
            return TOO_LONG
        try:
            found = fetch_part(pending[0], cursor=PullRequestCursor(), request=read.wanted.request(), reader=reader)
        except WRONG_SHAPE as error:
            return describe(error)
        except RequestFailedError as unanswered:
            if unanswered.answer.kind not in {*REFUSALS, ResponseKind.SHRINK}:
                raise
            found = skip_part(pending[0])
        _record(replace(read, found=found), sync_id=sync_id)
        why += [skipped.why for skipped in found.skipped]
        pending = [*found.pending, *pending[1:]]
    return "; ".join(why)


def _record(read: Read, *, sync_id: int) -> None:
    source = source_of(sync_id)
    with db.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        count_drift(read.found.facts, repository_sync_id=sync_id, source=source)
        record([evidence(source, read.found.facts)])


def stale_among(
    ours: Iterable[OpenPullRequest], shown: Mapping[int, Json], *, before: datetime | None
) -> Iterator[OpenPullRequest]:
    """Those that GitHub shows otherwise; what was updated since `before` is left to the backfill that reads it."""
    for one in ours:
        seen = shown.get(one.number)
        if seen is None or not is_stale(one, seen):
            continue
        updated_at = parse_time(seen.get("updatedAt"))
        if before is None or updated_at is None or updated_at < before:
            yield one


def _some(items: Sequence[Item], most: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + most] for start in range(0, len(items), most))

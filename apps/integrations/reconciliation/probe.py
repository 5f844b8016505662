"""The probes of an installation's repositories, batch by batch, and the reading of open pull requests that differ.

Not every change of a pull request moves it in GitHub's list, and one whose webhook was lost looks open forever. No
worker waits in here.
"""

import logging
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from celery.exceptions import SoftTimeLimitExceeded
from django.db import Error, connection, transaction
from django.utils import timezone

from apps.activity.facts import Fact, ListingNeeded, evidence
from apps.activity.models import Repository
from apps.activity.record import record
from apps.common import db
from apps.common.failpoints import failpoint
from apps.github.auth import GitHubAccess
from apps.github.objects.repositories import repository_facts
from apps.github.payload import PayloadReader, parse_time
from apps.github.probes import MOST_AT_ONCE, MOST_PULL_REQUESTS, ProbeRequest, probe_query, read_probe
from apps.github.rate_limit import Priority, Purpose
from apps.github.responses import REFUSALS, Answer, ResponseKind
from apps.integrations.drift import count_drift, source_of
from apps.integrations.models import RepositorySync
from apps.integrations.outcomes import MOST_ATTEMPTS, SUSPECT_ATTEMPTS
from apps.integrations.readable_installations import installation_reaching, readable_installations
from apps.integrations.reader import Reader, RequestFailedError
from apps.integrations.reconciliation.claimed_repositories import (
    CRASHED,
    FAILURES,
    NOT_REACHED,
    Claimed,
    apply_outcome,
    claim_more,
    decide_outcome,
    end,
    hand_over,
    put_back,
)
from apps.integrations.reconciliation.comparison import (
    Comparison,
    begin_comparisons,
    commit,
    decide_each,
    read_answer,
)
from apps.integrations.reconciliation.local_state import OpenPullRequest, open_pull_requests
from apps.integrations.refresh_queries import MOST, Read, Wanted, read_by_number
from apps.integrations.streams import PROBES
from apps.integrations.streams.pull_request_parts import PullRequestCursor
from apps.integrations.streams.pull_requests import PULL_REQUESTS, fetch_part, skip_part
from apps.jobs.runner import DATABASE_AWAY, GIVE_BACK_S
from apps.jobs.wakeups import wake_next_waiter
from apps.webhooks.parsing import WRONG_SHAPE
from apps.webhooks.translate import describe

LONGEST_WAIT_S = 12.0
AGAIN_S = 60.0
MOST_LISTED = 100
GONE = "GitHub shows no such repository to the installation any more; what the App reaches is being listed."
CONTRADICTORY = "GitHub shows the repository by its number, and not by its name."
Item = TypeVar("Item")
Json = Mapping[str, Any]
READ_TOO_LONG = "Its lists take too long to read."
READ_S = 10.0
"""A stale pull request is read no later than so long after the end of the time slice."""
DELETED = "GitHub has the repository no more."
logger = logging.getLogger(__name__)


def probe(row: RepositorySync, *, access: GitHubAccess, deadline_s: float) -> None:
    """Probe a claimed repository, and in the same request as many more of its installation as possible.

    Raises the Error of a database that is away.
    """
    batch = [Claimed.of(row), *claim_more(row, most=min(row.page_size, MOST_AT_ONCE) - 1)]
    failpoint("sync.after_claim")
    ProbeRun(row=row, access=access, deadline_s=deadline_s).run(batch)


@dataclass(slots=True, kw_only=True)
class ProbeRun:
    """One task's probes for one installation, on behalf of the first repository that it claimed."""

    row: RepositorySync
    access: GitHubAccess
    deadline_s: float

    @property
    def installation_id(self) -> int:
        assert self.row.installation_id is not None, "no installation reads it"  # noqa: S101
        return self.row.installation_id

    def run(self, batch: list[Claimed]) -> None:
        """Probe a batch and commit what it shows, or let it wait after an error."""
        few = self._few_enough(self._each_once(batch))
        if not few:
            return
        reader = reader_of(self.row, access=self.access)
        try:
            self._probe(few, reader=reader)
        except FAILURES as error:
            wake_next_waiter(error.answer.up_next if isinstance(error, RequestFailedError) else None)
            self._recover(error, few)
            return
        wake_next_waiter(reader.up_next)
        shown = {"installation": self.installation_id, "probed": len(few), "points": reader.points}
        logger.info("repositories_probed", extra=shown)

    def _each_once(self, batch: list[Claimed]) -> list[Claimed]:
        """Return the batch with each repository once; the same repository of another run is put back.

        One statement cannot store two marks of a stream.
        """
        chosen = {one.repository_id: one for one in reversed(batch)}
        put_back(one for one in batch if chosen[one.repository_id] is not one)
        return [one for one in batch if chosen[one.repository_id] is one]

    def _few_enough(self, batch: list[Claimed]) -> list[Claimed]:
        """Return the part of the batch to probe now: after repeated failures it is smaller, as one may cause them.

        Those that failed most often come first, so that the others do not wait for them forever. One that crashes its
        workers even alone is given up.
        """
        suspects = sorted(batch, key=lambda one: (-one.attempts, one.id != self.row.pk))
        attempts = suspects[0].attempts
        learned = min(one.page_size for one in batch)
        most = min(learned, max(1, MOST_AT_ONCE >> max(0, attempts - SUSPECT_ATTEMPTS + 1)))
        few, others = suspects[:most], suspects[most:]
        put_back(others)
        if attempts >= MOST_ATTEMPTS:
            end(few, reason="crashed", error=CRASHED)
            return []
        return few

    def _probe(self, batch: Sequence[Claimed], *, reader: Reader) -> None:
        comparisons = begin_comparisons(self._reached(batch))
        if not comparisons:
            return
        answer = _ask(comparisons, reader=reader)
        if answer is not None:
            read_answer(comparisons, answer)
            decide_each(comparisons, reader=reader)
            _read_open(comparisons, reader=reader, read_by_s=self.deadline_s + READ_S)
            failpoint("sync.after_probe")
            commit(comparisons, probed_at=answer.observed_at or timezone.now())
        for each in comparisons:
            if each.probe is None and not each.problem:
                relocate_repository(each.claimed, repository=each.repository, reader=reader)

    def _reached(self, batch: Sequence[Claimed]) -> list[tuple[Claimed, Repository]]:
        """Return those that this installation reads; hand over or end the others."""
        repositories = Repository.objects.in_bulk([one.repository_id for one in batch])
        reached = installation_reaching(repositories)
        mine = []
        for one in batch:
            by = reached.get(one.repository_id)
            if repositories[one.repository_id].deleted_at is not None:
                end([one], reason="gone", error=DELETED)
            elif by is None:
                end([one], reason="no_installation", error=NOT_REACHED)
            elif by != self.installation_id:
                hand_over(one, installation_id=by)
            else:
                mine.append((one, repositories[one.repository_id]))
        return mine

    def _recover(self, error: Exception, batch: Sequence[Claimed]) -> None:
        """Let the batch wait after an error; the Error of a database that is away is raised again."""
        chance = random.random()  # noqa: S311  spreads waits, guards nothing
        is_broken = isinstance(error, Error | SoftTimeLimitExceeded)
        if is_broken:
            connection.close()
        try:
            outcome = decide_outcome(error, batch=batch, now=self.access.client.clock(), chance=chance)
        except Error:
            with suppress(Error), db.limit(seconds=GIVE_BACK_S):
                put_back(batch, seconds=DATABASE_AWAY.total_seconds(), reason="database")
            raise
        apply_outcome(outcome, batch=batch, row=self.row)


def _ask(comparisons: Sequence[Comparison], *, reader: Reader) -> Answer | None:
    """Return the answer to the probe of all of these; None if GitHub shows none of them."""
    try:
        return reader.query(*probe_query([each.asked for each in comparisons], streams=PROBES))
    except RequestFailedError as refusal:
        if refusal.answer.kind is not ResponseKind.GONE:
            raise
        return None


def relocate_repository(claimed: Claimed, *, repository: Repository, reader: Reader) -> None:
    """Record the repository's present name and let it be probed again; if it is gone, it fails and listings follow.

    RequestFailedError if GitHub does not answer.
    """
    try:
        answer = reader.get(f"/repositories/{repository.pk}")
    except RequestFailedError as refusal:
        if refusal.answer.kind not in {ResponseKind.GONE, ResponseKind.FORBIDDEN}:
            raise
        _give_up_repository(claimed, reader=reader)
        return
    found = PayloadReader(answer.data, path="repository", arrived_at=timezone.now(), observed_at=answer.observed_at)
    facts = tuple(repository_facts(found))
    owner = found.child("owner").id()
    is_renamed, is_moved = found.text("full_name") != repository.full_name, owner != repository.owner_id
    with db.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        _record(claimed, [*facts, *(_listings_needed() if is_moved else ())])
        if claimed.attempts + 1 >= MOST_ATTEMPTS:
            end([claimed], reason="not_shown", error=CONTRADICTORY)
        else:
            wait_s = 0.0 if is_renamed else AGAIN_S
            put_back([claimed], seconds=wait_s, reason="renamed", attempts=claimed.attempts + 1)


def _give_up_repository(claimed: Claimed, *, reader: Reader) -> None:
    """Leave the repository to another installation that reaches it, else end it; a listing settles the access."""
    reached_by = installation_reaching([claimed.repository_id]).get(claimed.repository_id)
    with db.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        if reached_by is not None and reached_by != reader.installation_id:
            hand_over(claimed, installation_id=reached_by)
            return
        _record(claimed, _listings_needed())
        end([claimed], reason="gone", error=GONE)


def _listings_needed() -> list[Fact]:
    """Return facts that request listings, the longest ago first, as no webhook may have said where it went."""
    now = timezone.now()
    installations = readable_installations().order_by("listed_at", "pk").values_list("pk", flat=True)
    return [ListingNeeded(github_id=one, needs_listing_at=now) for one in installations[:MOST_LISTED]]


def _record(claimed: Claimed, facts: Iterable[Fact]) -> None:
    record([evidence(source_of(claimed.id), facts)])


def reader_of(row: RepositorySync, *, access: GitHubAccess) -> Reader:
    """Return a reader with a priority below live events and above backfills."""
    assert row.installation_id is not None, "no installation reads it"  # noqa: S101
    purpose = Purpose(priority=Priority.RECONCILIATION, subject=row.subject)
    return Reader(access=access, installation_id=row.installation_id, purpose=purpose)


def _read_open(comparisons: Sequence[Comparison], *, reader: Reader, read_by_s: float) -> None:
    """Compare open pull requests of repositories that are due or differ; stale ones are read whole."""
    there = [each for each in comparisons if each.probe is not None]
    differing = [each.repository.pk for each in there if each.read_since is not None and not each.open]
    opened = open_pull_requests(differing)
    chosen = [each for each in there if each.read_since is not None or PULL_REQUESTS.name in each.rereads]
    for each in chosen:
        each.open = each.open or opened.get(each.repository.pk, [])
    shown = read_open([left for each in chosen if (left := _left(each)).numbers], reader=reader)
    stale = []
    for each in chosen:
        seen = {**each.shown.pull_requests, **shown.get(each.repository.pk, {})}
        stale += [(one, each.repository.full_name) for one in stale_among(each.open, seen, before=each.read_since)]
    sync_ids = {each.repository.pk: each.claimed.id for each in chosen}
    problems = read_stale(stale, reader=reader, sync_ids=sync_ids, deadline_s=read_by_s)
    for each in chosen:
        each.is_open_read = True
        each.problem = problems.get(each.repository.pk, "")


def _left(comparison: Comparison) -> ProbeRequest:
    """Return a request for its open pull requests that the probe had no room for."""
    numbers = tuple(one.number for one in comparison.open if one.number not in comparison.asked.numbers)
    return ProbeRequest(
        repository_id=comparison.repository.pk, full_name=comparison.repository.full_name, numbers=numbers
    )


def is_stale(ours: OpenPullRequest, shown: Json) -> bool:
    """Return whether GitHub shows the pull request differently."""
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
    """Return these pull requests as GitHub shows them, by repository and number, 100 in a request of one point."""
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
        except RequestFailedError as refusal:
            if refusal.answer.kind is not ResponseKind.GONE:
                raise
            continue
        for at, request in enumerate(asked):
            found = read_probe(answer.data, at, request=request, streams={})
            shown[request.repository_id] |= found.pull_requests if found else {}
    return shown


def read_stale(
    stale: Sequence[tuple[OpenPullRequest, str]], *, reader: Reader, sync_ids: Mapping[int, int], deadline_s: float
) -> dict[int, str]:
    """Read these pull requests, each with its repository's name, with all their parts, and record them.

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
            why = _read_whole(read, reader=reader, sync_id=sync_ids[pull_request.repository_id], deadline_s=deadline_s)
            if why:
                problems[pull_request.repository_id] = f"pull request {pull_request.number}: {why}"
    if stale:
        logger.info("open_pull_requests_read", extra={"count": len(stale), "problems": len(problems)})
    return problems


def _read_whole(read: Read, *, reader: Reader, sync_id: int, deadline_s: float) -> str:
    """Record it with the pending parts of its lists; return why something is missing, empty if nothing is."""
    _record_read(read, sync_id=sync_id)
    pending, why = list(read.found.pending), [read.why] if read.why else []
    while pending:
        if time.monotonic() >= deadline_s:
            return READ_TOO_LONG
        try:
            found = fetch_part(pending[0], cursor=PullRequestCursor(), request=read.wanted.request(), reader=reader)
        except WRONG_SHAPE as error:
            return describe(error)
        except RequestFailedError as refusal:
            if refusal.answer.kind not in {*REFUSALS, ResponseKind.SHRINK}:
                raise
            found = skip_part(pending[0])
        _record_read(replace(read, found=found), sync_id=sync_id)
        why += [skipped.why for skipped in found.skipped]
        pending = [*found.pending, *pending[1:]]
    return "; ".join(why)


def _record_read(read: Read, *, sync_id: int) -> None:
    source = source_of(sync_id)
    with db.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        count_drift(read.found.facts, repository_sync_id=sync_id, source=source)
        record([evidence(source, read.found.facts)])


def stale_among(
    ours: Iterable[OpenPullRequest], shown: Mapping[int, Json], *, before: datetime | None
) -> Iterator[OpenPullRequest]:
    """Yield those that GitHub shows differently, without those that a backfill since `before` reads."""
    for one in ours:
        seen = shown.get(one.number)
        if seen is None or not is_stale(one, seen):
            continue
        updated_at = parse_time(seen.get("updatedAt"))
        if before is None or updated_at is None or updated_at < before:
            yield one


def _some(items: Sequence[Item], most: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + most] for start in range(0, len(items), most))

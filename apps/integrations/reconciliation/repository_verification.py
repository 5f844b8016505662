"""The verification of a repository in a run: after its backfills deletions are searched and counts compared again."""

import logging
import random
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.db import Error, connection, transaction

from apps.activity.coverage import Stretch, cover_together
from apps.activity.models import Repository
from apps.common import db
from apps.common.failpoints import failpoint
from apps.github import auth
from apps.github.auth import GitHubAccess
from apps.github.rate_limit import Priority
from apps.integrations.backfill.start import Scope, start
from apps.integrations.models import Backfill, RepositorySync, StreamCount
from apps.integrations.outcomes import MOST_ATTEMPTS
from apps.integrations.readable_installations import installation_reaching
from apps.integrations.reader import Reader, RequestFailedError, storable
from apps.integrations.reconciliation.claimed_repositories import (
    CRASHED,
    FAILURES,
    NOT_REACHED,
    BatchOutcome,
    Claimed,
    change,
    decide_outcome,
    end,
    put_back,
)
from apps.integrations.reconciliation.comparison import PROBLEM, REREAD, reread_at
from apps.integrations.reconciliation.deletions import Outcome, find_deleted
from apps.integrations.reconciliation.local_state import (
    LocalState,
    Mark,
    count_heads,
    is_missing,
    keep_marks,
    read_local_state,
)
from apps.integrations.reconciliation.probe import probe, reader_of
from apps.integrations.streams.commits import COMMITS
from apps.jobs import runner
from apps.jobs.claims import claim
from apps.jobs.models import Job
from apps.jobs.registry import SLICE_S, JobKind
from apps.jobs.runner import DATABASE_AWAY, GIVE_BACK_S
from apps.jobs.wakeups import wake_next_waiter

LONGEST_WAIT_S = 12.0
logger = logging.getLogger(__name__)


def run(job: Job, deadline_s: float) -> None:
    """Probe a repository of a run, or verify it once what differs was read."""
    verify_repository(job, access=auth.github(), deadline_s=deadline_s)


def plan(at_start: bool = False) -> int:
    """Make those due for verification of which nothing is being read any more; return how many."""
    with db.limit(seconds=LONGEST_WAIT_S):
        return RepositorySync.objects.verify_what_is_read()


KIND = JobKind(
    name=RepositorySync.KIND,
    priority=Priority.RECONCILIATION,
    run=run,
    plan=plan,
    words={
        RepositorySync.READING: ("What differs is being read; then it is counted again.", ""),
        "followed": ("Another backfill read some of it; it is compared again.", ""),
        "renamed": ("GitHub shows it under another name; it is compared again.", ""),
        "not_shown": ("GitHub does not show it by its name.", "The next run compares it again."),
        "not_read": (
            "Not all that differs could be read.",
            "Retry the backfills that failed; the next run compares again.",
        ),
        "crashed": ("Its workers crashed again and again.", "Look at the log of the workers."),
        "too_long": ("It was not compared within 24 hours.", "The next run compares it again."),
        "too_much": ("GitHub cannot show even this repository alone.", "The next run compares it again."),
    },
    repository="repositorysync__repository",
    part="repositorysync__sync__sync_id",
)


def verify_repository(job: Job, *, access: GitHubAccess, deadline_s: float) -> None:
    """Run the next step of a claimed job, and release or end it.

    Raises the Error of a database that is away.
    """
    row = RepositorySync.objects.select_related("repository", "sync").get(pk=job.pk, claim_number=job.claim_number)
    if row.installation_id is None:
        row.installation_id = installation_reaching([row.repository_id]).get(row.repository_id)
        if row.installation_id is None:
            end([Claimed.of(row)], reason="no_installation", error=NOT_REACHED)
            return
        job.hold(installation_id=row.installation_id)
    row.leased_by = job.leased_by
    if row.probed_at is None:
        probe(row, access=access, deadline_s=deadline_s)
        return
    failpoint("sync.after_backfills")
    if row.attempts >= MOST_ATTEMPTS:
        end([Claimed.of(row)], reason="crashed", error=CRASHED)
        return
    Verification(claimed=Claimed.of(row), row=row, access=access, deadline_s=deadline_s).finish()


@dataclass(slots=True, kw_only=True)
class Verification:
    """One task's share of the verification of a repository."""

    claimed: Claimed
    row: RepositorySync
    access: GitHubAccess
    deadline_s: float
    backfills: Mapping[str, Backfill] = field(init=False)
    """The run's own last backfill of each stream that differed; a stream that another backfill read has none."""

    def __post_init__(self) -> None:
        own = Backfill.objects.filter(sync=self.row).order_by("stream", "-pk").distinct("stream")
        self.backfills = {backfill.stream: backfill for backfill in own}

    def finish(self) -> None:
        """Search deletions, then settle the row; or leave it to the next task with a reason."""
        try:
            reader = self._reader()
            accepts_mass_deletions = self.row.sync.accepts_mass_deletions
            found = find_deleted(
                self.row, reader=reader, deadline_s=self.deadline_s, accepts_mass_deletions=accepts_mass_deletions
            )
            wake_next_waiter(reader.up_next)
            if not found.is_complete:
                self._wait(BatchOutcome())
                return
            with db.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
                self._settle(short=found.short)
                failpoint("sync.before_commit")
        except FAILURES as error:
            wake_next_waiter(error.answer.up_next if isinstance(error, RequestFailedError) else None)
            self._recover(error)

    def _reader(self) -> Reader:
        return reader_of(self.row, access=self.access)

    def _settle(self, *, short: Collection[str]) -> None:
        here = self._here()
        if missing := list(self._missing(here, short=short)):
            self._read_all(missing, here=here)
            return
        keep_marks([self._mark(stream, here[stream]) for stream in self._whole()])
        cover_together(list(self._covered(here)))
        followed = [stream for stream in self.row.differs if stream not in self.backfills]
        failures = list(self._failures())
        if failures:
            end([self.claimed], reason="not_read", error=storable("; ".join(failures)))
        elif followed:
            put_back([self.claimed], reason="followed")
        else:
            end([self.claimed])
        shown = {"repository": self.row.repository_id, "failures": len(failures), "followed": len(followed)}
        logger.info("repository_counted", extra=shown)

    def _here(self) -> Mapping[str, LocalState]:
        repository = self.row.repository
        heads = {repository.pk: self.row.marks.get(COMMITS.name, {}).get("head")}
        return count_heads(read_local_state([repository]), heads)[repository.pk]

    def _whole(self) -> list[str]:
        """Return the streams whose backfill is done and skipped nothing."""
        done = Backfill.State.DONE
        return [stream for stream, own in self.backfills.items() if own.state == done and not own.skipped]

    def _missing(self, here: Mapping[str, LocalState], *, short: Collection[str]) -> Iterator[str]:
        """Yield the streams of which GitHub has more though all that changed was read, unless all of it was."""
        for stream in self._whole():
            since, about = self.backfills[stream].since, here[stream]
            is_all = since is None or (about.covered is not None and since <= about.covered[0])
            if not is_all and (stream in short or is_missing(self.row.marks[stream].get("count"), here=about)):
                yield stream

    def _read_all(self, streams: Sequence[str], *, here: Mapping[str, LocalState]) -> None:
        """Start backfills of all the history that is here of these streams, after which it is verified again."""
        change(
            [self.claimed],
            "state = 'waiting', reason = %(reading)s, not_before = statement_timestamp() + interval '30 d'",
            particular="differs = %(differs)s",
            reading=RepositorySync.READING,
            differs=sorted({*self.row.differs, *streams}),
        )
        count_again(self.row, streams=streams)
        for stream in streams:
            about = here[stream]
            since = None if about.is_whole or about.covered is None else about.covered[0]
            repository = Repository.objects.filter(pk=self.row.repository_id)
            start(repository, scope=Scope(since=since, streams=(stream,)), sync=self.row)

    def _mark(self, stream: str, here: LocalState) -> Mark:
        probed_at = self.row.probed_at or self.row.created_at
        return Mark(
            repository_id=self.row.repository_id,
            stream=stream,
            shown=self.row.marks[stream],
            passed_at=probed_at,
            reread_at=reread_at(here, fresh=stream in self.row.marks.get(REREAD, ()), at=probed_at),
            ours=here.ours,
            counted=here.kept.counted if here.kept else None,
        )

    def _covered(self, here: Mapping[str, LocalState]) -> Iterator[Stretch]:
        """Yield the time up to the probe: a backfill began after it, but is dated by our clock, not by GitHub's."""
        for stream in self._whole():
            covered, at = here[stream].covered, self.row.probed_at
            if covered is not None and at is not None:
                pk = self.row.repository_id
                yield Stretch(repository_id=pk, stream=stream, from_at=min(covered[1], at), to_at=at)

    def _failures(self) -> Iterator[str]:
        if problem := self.row.marks.get(PROBLEM):
            yield str(problem)
        whole = self._whole()
        for stream, backfill in sorted(self.backfills.items()):
            if stream not in whole:
                yield f"{stream}: {_describe(backfill)}"
        yield from mass_deletions(self.row)

    def _recover(self, error: Exception) -> None:
        chance = random.random()  # noqa: S311  spreads waits, guards nothing
        if isinstance(error, Error | SoftTimeLimitExceeded):
            connection.close()
        try:
            outcome = decide_outcome(error, batch=[self.claimed], now=self.access.client.clock(), chance=chance)
        except Error:
            with suppress(Error), db.limit(seconds=GIVE_BACK_S):
                self._wait(BatchOutcome(reason="database", seconds=DATABASE_AWAY.total_seconds()))
            raise
        if outcome.is_failure:
            end([self.claimed], reason=outcome.reason, error=storable(outcome.words))
        else:
            self._wait(outcome)

    def _wait(self, outcome: BatchOutcome) -> None:
        """Let the repository wait to be verified again; it is not probed again."""
        change(
            [self.claimed],
            "state = 'waiting', reason = %(reason)s, error = %(error)s,"
            " not_before = statement_timestamp() + make_interval(secs => %(seconds)s),"
            " attempts = coalesce(%(attempts)s::smallint, j.attempts)",
            reason=outcome.reason,
            error=storable(outcome.words),
            seconds=outcome.seconds,
            attempts=outcome.attempts,
        )


def _describe(backfill: Backfill) -> str:
    if backfill.state == Backfill.State.DONE:
        left_out: list[Any] = backfill.skipped
        return f"left out {', '.join(str(one['what']) for one in left_out)}"
    return backfill.error or backfill.reason or backfill.state


def mass_deletions(repository_sync: RepositorySync) -> list[str]:
    """Describe the streams of which so much would be deleted at once that nothing was marked."""
    masses = StreamCount.objects.filter(repository_sync=repository_sync, outcome=Outcome.MASS).order_by("stream")
    return [
        f"{count.stream}: GitHub has {count.theirs}, here are {count.ours}; so many deletions at once are not accepted,"
        " and nothing was marked as deleted. If they are true: manage.py reconcile --accept-mass-deletions"
        for count in masses
    ]


def count_again(repository_sync: RepositorySync, *, streams: Sequence[str]) -> None:
    """Delete the counts of these streams, as they are read again."""
    StreamCount.objects.filter(repository_sync=repository_sync, stream__in=streams).delete()


def advance(repository_id: int, *, sync_id: str, task_id: str) -> None:
    """Run the next step of one repository in a run now, unless it is not due."""
    row = RepositorySync.objects.filter(repository=repository_id, sync__sync_id=sync_id).first()
    job = claim(row.pk, task_id=task_id) if row is not None else None
    if job is not None:
        runner.run(job, deadline_s=time.monotonic() + SLICE_S)

"""The job that reads a stream, page by page. A page is read outside any transaction, and stored whole or not at all."""

import logging
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from celery.exceptions import SoftTimeLimitExceeded
from django.db import Error, connection, transaction
from django.utils import timezone

from apps.activity.facts import Source, evidence
from apps.activity.record import record
from apps.common import db
from apps.common.encryption import UndecryptableError
from apps.common.failpoints import failpoint
from apps.github import auth
from apps.github.auth import GitHubAccess
from apps.github.credentials import NoCredentialsError
from apps.github.objects.repositories import repository_facts
from apps.github.payload import PayloadReader
from apps.github.rate_limit import Priority, Purpose
from apps.integrations.backfill.claimed_stream import Claimed, apply_outcome, commit_page, resolve
from apps.integrations.models import Backfill, RepositorySync
from apps.integrations.outcomes import (
    BUSY,
    REFUSED_S,
    Fail,
    FindAgain,
    GoOn,
    Outcome,
    Settled,
    Wait,
    decide,
    isolate_item,
    run_out_of_time,
    shrink_after_crash,
    try_again,
)
from apps.integrations.readable_installations import installation_reaching
from apps.integrations.reader import Page, PageRequest, Reader, RequestFailedError, StreamReader
from apps.integrations.streams import STREAMS
from apps.jobs.models import Job
from apps.jobs.registry import JobKind
from apps.jobs.wakeups import wake_next_waiter
from apps.webhooks.parsing import WRONG_SHAPE, UnusablePayloadError
from apps.webhooks.retry import is_data_error
from apps.webhooks.translate import describe

LONGEST_WAIT_S = 6.0


def relocate_repository(claimed: Claimed, *, reader: Reader) -> Claimed:
    """Return the claim with the repository's present name, which is recorded; the same one if it has not changed.

    RequestFailedError, of kind GONE, if there is no such repository any more, or not for this installation.
    """
    answer = reader.get(f"/repositories/{claimed.repository_id}")
    repository = PayloadReader(
        answer.data, path="repository", arrived_at=timezone.now(), observed_at=answer.observed_at
    )
    full_name, facts = repository.text("full_name"), tuple(repository_facts(repository))
    if full_name == claimed.full_name:
        return claimed
    with db.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        record([evidence(Source(kind="api", key=f"backfill {claimed.id}"), facts)])
    return replace(claimed, full_name=full_name)


FEWEST_PAGES = 20
MOST_PAGES, MOST_ITEMS, SPARE_ITEMS = 100_000, 5_000_000, 5_000
"""Where a list must have ended: far beyond the largest repository, and beyond twice what GitHub counts in it."""
DIED = "Every worker that processed this page crashed or timed out."
OUT_OF_TIME = (SoftTimeLimitExceeded, db.DatabaseTimeoutError)
FAILURES = (RequestFailedError, UnusablePayloadError, NoCredentialsError, UndecryptableError, Error)
logger = logging.getLogger(__name__)


def run(job: Job, deadline_s: float) -> None:
    """Read page by page until the time is over, the stream is at its end, or GitHub refuses."""
    read_stream(job, access=auth.github(), deadline_s=deadline_s)


KIND = JobKind(
    name=Backfill.KIND,
    priority=Priority.BACKFILL,
    places=2,
    run=run,
    repository="backfill__repository",
    part="backfill__stream",
)
"""Two of an installation run at once: while the page of one is stored, that of the other is read."""


def read_stream(
    job: Job, *, access: GitHubAccess, deadline_s: float, streams: Mapping[str, StreamReader] = STREAMS
) -> None:
    """Read the stream of a claimed job, and release or end it; then its reconciliation may continue."""
    claimed = resolve(job)
    if claimed is None:
        return
    failpoint("backfill.after_claim")
    stream = streams.get(claimed.stream)
    if stream is None:
        words = f"This version does not read {claimed.stream}."
        claimed.row.end(Job.State.FAILED, reason="unknown_stream", error=words)
    else:
        Run(claimed=claimed, access=access, stream=stream, deadline_s=deadline_s).read()
    if claimed.sync_id is not None:
        RepositorySync.objects.verify_what_is_read(of=claimed.sync_id)


@dataclass(slots=True, kw_only=True)
class Run:
    """The part of a backfill that one task reads."""

    claimed: Claimed
    access: GitHubAccess
    stream: StreamReader
    deadline_s: float
    pages: int = 0
    visited: set[str] = field(default_factory=set)
    """The cursors that this task read pages at."""

    def read(self) -> None:
        """Read until there is a reason to stop, and store where the next worker continues."""
        if self.claimed.was_dropped and not self._apply(
            shrink_after_crash(self.claimed.progress), self._reader(), words=DIED
        ):
            return
        while self._step():
            if time.monotonic() >= self.deadline_s:
                self._apply(Wait(0.0, ""), self._reader(), words="")
                return

    def _step(self) -> bool:
        """Read and store a page; return whether there is more to be read now."""
        reader = self._reader()
        try:
            page = self._read(reader)
            wake_next_waiter(reader.up_next)
            failpoint("backfill.after_page")
            progress = self.claimed.progress.after_page(most=self.stream.most)
            self.claimed = commit_page(page, self.claimed, progress=progress, reader=reader)
        except OUT_OF_TIME as error:
            return self._run_out_of_time(error, reader)
        except FAILURES as error:
            return self._recover(error, reader)
        self.pages += 1
        logger.info("backfill_page_kept", extra={"backfill": self.claimed.id, "items": page.items})
        return page.cursor is not None

    def _reader(self) -> Reader:
        priority = Priority.BACKFILL if self.claimed.sync_id is None else Priority.RECONCILIATION
        purpose = Purpose(priority=priority, subject=f"job {self.claimed.id}")
        return Reader(access=self.access, installation_id=self.claimed.installation_id, purpose=purpose)

    def _read(self, reader: Reader) -> Page:
        claimed = self.claimed
        request = PageRequest(
            repository_id=claimed.repository_id,
            full_name=claimed.full_name,
            since=claimed.since,
            until=claimed.until,
            started_at=claimed.started_at,
            cursor=claimed.cursor,
            page_size=min(claimed.progress.page_size, self.stream.most),
        )
        read = self.stream.skip_item if claimed.progress.skips_item else self.stream.read
        try:
            page = read(request, reader)
        except WRONG_SHAPE as error:
            raise UnusablePayloadError("shape_mismatch", describe(error)) from error
        self._expect_end(page)
        return page

    def _expect_end(self, page: Page) -> None:
        """Refuse a page that leads to where this task was, or that comes long after all that GitHub counts."""
        self.visited.add(self.claimed.cursor)
        if page.cursor is None:
            return
        if page.cursor in self.visited:
            raise UnusablePayloadError("endless_list", "GitHub's list leads back to an earlier page")
        row = Backfill.objects.filter(pk=self.claimed.id).values("pages", "items", "total").first()
        if row is None or row["pages"] < FEWEST_PAGES:
            return
        most = MOST_ITEMS if row["total"] is None else 2 * row["total"] + SPARE_ITEMS
        if row["pages"] > MOST_PAGES or row["items"] > most:
            raise UnusablePayloadError("endless_list", f"GitHub's list continues after {row['items']:,} items")

    def _recover(self, error: Exception, reader: Reader) -> bool:
        """Do what follows an error; an unavailable database is raised again."""
        outcome = self._outcome_of(error)
        if isinstance(outcome, FindAgain):
            return self._relocate_repository(error, reader)
        if isinstance(outcome, Wait) and outcome.reason == BUSY and self.pages:
            outcome = Wait(0.0, "")  # it has read pages already; those that wait for longer come first
        return self._apply(outcome, reader, words=_error_message(error))

    def _outcome_of(self, error: Exception) -> Outcome:
        progress, chance = self.claimed.progress, _chance()
        if isinstance(error, RequestFailedError):
            return decide(error.answer, progress=progress, now=self.access.client.clock(), chance=chance)
        if isinstance(error, NoCredentialsError | UndecryptableError):
            return Wait(REFUSED_S, "no_credentials")
        if not isinstance(error, Error) or is_data_error(error):
            return isolate_item(progress, reason="unusable")
        if db.is_database_unavailable(error, but_for={db.QUERY_CANCELED}):
            raise error
        return try_again(progress, chance=chance, reason="not_recorded")

    def _relocate_repository(self, error: Exception, reader: Reader) -> bool:
        try:
            found = relocate_repository(self.claimed, reader=reader)
        except OUT_OF_TIME as late:
            return self._run_out_of_time(late, reader)
        except FAILURES as failure:
            return self._apply(self._outcome_without_repository(failure), reader, words=_error_message(failure))
        outcome: Settled = GoOn(found.progress)
        if found == self.claimed:
            outcome = try_again(found.progress, chance=_chance(), reason="gone")
        self.claimed = found
        return self._apply(outcome, reader, words=_error_message(error))

    def _outcome_without_repository(self, error: Exception) -> Settled:
        """Return what follows if the repository itself cannot be used: a smaller page does not help."""
        if isinstance(error, UnusablePayloadError) or is_data_error(error):
            return try_again(self.claimed.progress, chance=_chance(), reason="not_recorded")
        outcome = self._outcome_of(error)
        return self._outcome_of_transfer() if isinstance(outcome, FindAgain) else outcome

    def _outcome_of_transfer(self) -> Settled:
        """Return what follows a transfer: the installation of the new account continues, if there is one."""
        reached_by = installation_reaching([self.claimed.repository_id]).get(self.claimed.repository_id)
        return Fail("gone") if reached_by in {None, self.claimed.installation_id} else Wait(0.0, "")

    def _run_out_of_time(self, error: Exception, reader: Reader) -> bool:
        """Give up the page that took too long; the next task asks for less."""
        connection.close()
        self.deadline_s = 0.0
        outcome = run_out_of_time(self.claimed.progress, chance=_chance())
        return self._apply(outcome, reader, words=_error_message(error))

    def _apply(self, outcome: Settled, reader: Reader, *, words: str) -> bool:
        claimed = apply_outcome(outcome, self.claimed, reader=reader, words=words)
        if claimed is None:
            return False
        self.claimed = claimed
        return True


def _error_message(error: Exception) -> str:
    return error.answer.message if isinstance(error, RequestFailedError) else describe(error)


def _chance() -> float:
    return random.random()  # noqa: S311  spreads waits, guards nothing

"""Probing the repositories of an installation, batch by batch: what one task does. No worker waits in here."""

import logging
import random
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from celery.exceptions import SoftTimeLimitExceeded
from django.db import Error, connection, transaction
from django.utils import timezone

from apps.activity.facts import Fact, ListingNeeded, evidence
from apps.activity.models import Repository
from apps.activity.record import record
from apps.common import db
from apps.common.encryption import UndecryptableError
from apps.common.failpoints import failpoint
from apps.github.auth import GitHubAccess
from apps.github.credentials import NoCredentialsError
from apps.github.objects.repositories import repository_facts
from apps.github.payload import PayloadReader
from apps.github.probes import MOST_AT_ONCE, probe_query
from apps.github.rate_limit import Priority, Purpose
from apps.github.responses import Answer, ResponseKind
from apps.integrations.access import installation_reaching, readable_installations
from apps.integrations.drift import source_of
from apps.integrations.models import RepositorySync
from apps.integrations.outcomes import MOST_ATTEMPTS, SUSPECT_ATTEMPTS
from apps.integrations.reader import Reader, RequestFailedError
from apps.integrations.reconciliation import probe_outcomes
from apps.integrations.reconciliation.claims import CRASHED, NOT_REACHED, Claimed, claim_more, end, hand_over, put_back
from apps.integrations.reconciliation.comparison import (
    Comparison,
    begin_comparisons,
    decide_and_read,
    keep,
    read_answer,
)
from apps.integrations.streams import PROBES
from apps.jobs.runner import DATABASE_AWAY, GIVE_BACK_S
from apps.jobs.wakeups import wake_next_waiter
from apps.webhooks.parsing import UnusablePayloadError

LONGEST_WAIT_S = 6.0
AGAIN_S = 60.0
MOST_LISTED = 100
GONE = "GitHub shows no such repository to the installation any more; what the App reaches is being listed."
CONTRADICTORY = "GitHub shows the repository by its number, and not by its name."


def relocate_repository(claimed: Claimed, *, repository: Repository, reader: Reader) -> None:
    """Record what it is called now, and let it be probed again; where it is gone, say so and have it listed.

    RequestFailedError where GitHub does not answer.
    """
    try:
        answer = reader.get(f"/repositories/{repository.pk}")
    except RequestFailedError as unanswered:
        if unanswered.answer.kind not in {ResponseKind.GONE, ResponseKind.FORBIDDEN}:
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
    """Another installation of ours may reach it by now; a listing shows it, and takes our access back."""
    reached_by = installation_reaching([claimed.repository_id]).get(claimed.repository_id)
    with db.limit(seconds=LONGEST_WAIT_S), transaction.atomic():
        if reached_by is not None and reached_by != reader.installation_id:
            hand_over(claimed, installation_id=reached_by)
            return
        _record(claimed, _listings_needed())
        end([claimed], reason="gone", error=GONE)


def _listings_needed() -> list[Fact]:
    """No webhook may have said where it went: what was listed longest ago comes first."""
    now = timezone.now()
    installations = readable_installations().order_by("listed_at", "pk").values_list("pk", flat=True)
    return [ListingNeeded(github_id=one, needs_listing_at=now) for one in installations[:MOST_LISTED]]


def _record(claimed: Claimed, facts: Iterable[Fact]) -> None:
    record([evidence(source_of(claimed.id), facts)])


def reader_of(row: RepositorySync, *, access: GitHubAccess) -> Reader:
    """Return a reader that goes behind what happens now and before backfills."""
    assert row.installation_id is not None, "nobody reads it"  # noqa: S101
    purpose = Purpose(priority=Priority.RECONCILIATION, subject=row.subject)
    return Reader(access=access, installation_id=row.installation_id, purpose=purpose)


READ_S = 10.0
"""What a batch finds to be read whole is begun no later than so long after the last request of the time slice."""
DELETED = "GitHub has the repository no more."
FAILURES = (
    RequestFailedError,
    UnusablePayloadError,
    NoCredentialsError,
    UndecryptableError,
    SoftTimeLimitExceeded,
    Error,
)
logger = logging.getLogger(__name__)


def probe(row: RepositorySync, *, access: GitHubAccess, deadline_s: float) -> None:
    """Probe a repository that was claimed, and in the same request as many more of its installation as may be.

    Raises the Error of a database that is away.
    """
    batch = [Claimed.of(row), *claim_more(row, most=min(row.page_size, MOST_AT_ONCE) - 1)]
    failpoint("sync.after_claim")
    ProbeRun(row=row, access=access, deadline_s=deadline_s).run(batch)


@dataclass(slots=True, kw_only=True)
class ProbeRun:
    """What one task probes for one installation, on behalf of the first repository that it claimed."""

    row: RepositorySync
    access: GitHubAccess
    deadline_s: float

    @property
    def installation_id(self) -> int:
        assert self.row.installation_id is not None, "nobody reads it"  # noqa: S101
        return self.row.installation_id

    def run(self, batch: list[Claimed]) -> None:
        """Probe a batch and keep what it shows, or let it wait for what went wrong."""
        few = self._few_enough(batch)
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

    def _few_enough(self, batch: list[Claimed]) -> list[Claimed]:
        """What failed again and again together is asked for in smaller parts: one of them may be to blame.

        Those that failed most often come first, so that the others do not wait for them for ever. One that its workers
        do not survive even alone is given up.
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
            decide_and_read(comparisons, reader=reader, read_by_s=self.deadline_s + READ_S)
            failpoint("sync.after_probe")
            keep(comparisons, probed_at=answer.observed_at or timezone.now())
        for each in comparisons:
            if each.probe is None and not each.problem:
                relocate_repository(each.claimed, repository=each.repository, reader=reader)

    def _reached(self, batch: Sequence[Claimed]) -> list[tuple[Claimed, Repository]]:
        """Those that this installation reads; the others are somebody else's, or nobody's."""
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
        """Let the batch wait for what went wrong; an Error that blames the database goes up."""
        chance = random.random()  # noqa: S311  spreads waits, guards nothing
        is_broken = isinstance(error, Error | SoftTimeLimitExceeded)
        if is_broken:
            connection.close()
        try:
            follows = probe_outcomes.judge(error, batch=batch, now=self.access.client.clock(), chance=chance)
        except Error:
            with suppress(Error), db.limit(seconds=GIVE_BACK_S):
                put_back(batch, seconds=DATABASE_AWAY.total_seconds(), reason="database")
            raise
        probe_outcomes.follow(follows, batch=batch, row=self.row)


def _ask(comparisons: Sequence[Comparison], *, reader: Reader) -> Answer | None:
    """The probe of all of these; None where GitHub shows none of them."""
    try:
        return reader.query(*probe_query([each.asked for each in comparisons], streams=PROBES))
    except RequestFailedError as unanswered:
        if unanswered.answer.kind is not ResponseKind.GONE:
            raise
        return None

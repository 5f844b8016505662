"""Probing the repositories of an installation, batch by batch: what one task does. No worker waits in here."""

import logging
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from celery.exceptions import SoftTimeLimitExceeded
from django.db import Error, connection
from django.utils import timezone

from apps import watchdog
from apps.activity.models import Repository
from apps.crash_points import crash_point
from apps.encryption import Undecryptable
from apps.github.answers import Answer
from apps.github.auth import GitHubAccess
from apps.github.credentials import NoCredentials
from apps.github.probes import MOST_AT_ONCE, probe_query
from apps.github.responses import Kind
from apps.integrations import up_next
from apps.integrations.backfill.outcomes import MOST_ATTEMPTS, SUSPECT_ATTEMPTS
from apps.integrations.backfill.walking import Reader, Unanswered
from apps.integrations.reaching import installation_reaching
from apps.integrations.reconciliation.repositories import bell, following
from apps.integrations.reconciliation.repositories.asking import reader_of
from apps.integrations.reconciliation.repositories.claiming import (
    CRASHED,
    NOT_REACHED,
    Claimed,
    claim_batch,
    end,
    hand_over,
    put_back,
)
from apps.integrations.reconciliation.repositories.finding_again import find_again
from apps.integrations.reconciliation.repositories.looking import Look, keep
from apps.integrations.reconciliation.repositories.reading import look_at, read_on, take_in
from apps.webhooks.errors import UnusablePayload

TURN_S = 15.0
"""A task begins no batch after so long: a request takes 30 s at the most, and a task 45 s."""
READ_S = 25.0
"""What a batch finds to be read whole is begun no later."""
GIVE_BACK_S = 3.0
DELETED = "GitHub has the repository no more."
FAILURES = (Unanswered, UnusablePayload, NoCredentials, Undecryptable, SoftTimeLimitExceeded, Error)
logger = logging.getLogger(__name__)


def probe(installation_id: int, *, access: GitHubAccess, first: int = 0, seconds: float = TURN_S) -> None:
    """Probe what is due of the installation, until nothing is, GitHub says no, or the time is over; then ring again.

    `first`, a row's id, comes before all others. Does nothing while another worker probes there. Raises the Error of a
    database that is away.
    """
    turn = Turn(installation_id=installation_id, access=access, first=first, deadline_s=time.monotonic() + seconds)
    if turn.take():
        bell.ring_for_installations([installation_id])


@dataclass(slots=True, kw_only=True)
class Turn:
    """What one task probes for one installation."""

    installation_id: int
    access: GitHubAccess
    first: int
    deadline_s: float
    most: int = MOST_AT_ONCE
    read_by_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.read_by_s = self.deadline_s - TURN_S + READ_S

    def take(self) -> bool:
        """Whether there may be more for another task at once."""
        while batch := claim_batch(self.installation_id, most=self.most, first=self.first):
            crash_point("sync.after_claim")
            few = self._few_enough(batch)
            if few and not self._goes_on(few):
                return False
            if time.monotonic() >= self.deadline_s:
                return True
        return False

    def _few_enough(self, batch: list[Claimed]) -> list[Claimed]:
        """What failed again and again together is asked for in smaller parts: one of them may be to blame.

        Those that failed most often come first, so that the others do not wait for them for ever. One that its workers
        do not survive even alone is given up.
        """
        suspects = sorted(batch, key=lambda one: -one.attempts)
        attempts = suspects[0].attempts
        most = max(1, MOST_AT_ONCE >> max(0, attempts - SUSPECT_ATTEMPTS + 1))
        few, others = suspects[:most], suspects[most:]
        put_back(others)
        if attempts >= MOST_ATTEMPTS:
            end(few, reason="crashed", error=CRASHED)
            return []
        return few

    def _goes_on(self, batch: list[Claimed]) -> bool:
        """Probe a batch and keep what it tells; whether another may follow at once."""
        reader = reader_of(self.installation_id, access=self.access)
        try:
            self._probe(batch, reader=reader)
        except FAILURES as error:
            up_next.ring_for_next(error.answer.up_next if isinstance(error, Unanswered) else None)
            return self._recover(error, batch)
        up_next.ring_for_next(reader.up_next)
        told = {"installation": self.installation_id, "probed": len(batch), "points": reader.points}
        logger.info("repositories_probed", extra=told)
        return True

    def _probe(self, batch: Sequence[Claimed], *, reader: Reader) -> None:
        looks = look_at(self._reached(batch))
        if not looks:
            return
        answer = _ask(looks, reader=reader)
        if answer is not None:
            take_in(looks, answer)
            read_on(looks, reader=reader, read_by_s=self.read_by_s)
            crash_point("sync.after_probe")
            keep(looks, probed_at=answer.observed_at or timezone.now())
        for look in looks:
            if look.probe is None and not look.untold:
                find_again(look.claimed, repository=look.repository, reader=reader)

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

    def _recover(self, error: Exception, batch: Sequence[Claimed]) -> bool:
        """Let the batch wait for what went wrong; an Error that blames the database goes up."""
        chance = random.random()  # noqa: S311  spreads waits, guards nothing
        is_broken = isinstance(error, Error | SoftTimeLimitExceeded)
        if is_broken:
            connection.close()
        try:
            follows = following.judge(error, batch=batch, now=self.access.client.clock(), chance=chance)
        except Error:
            with suppress(Error), watchdog.limit(seconds=GIVE_BACK_S):
                put_back(batch, seconds=following.AWAY_S, reason="database")
            raise
        self.most = follows.most
        following.follow(follows, batch=batch, installation_id=self.installation_id)
        return follows.goes_on


def _ask(looks: Sequence[Look], *, reader: Reader) -> Answer | None:
    """The probe of all of these; None where GitHub shows none of them."""
    try:
        return reader.query(*probe_query([look.asked for look in looks]))
    except Unanswered as unanswered:
        if unanswered.answer.kind is not Kind.GONE:
            raise
        return None

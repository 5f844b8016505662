"""Running jobs: claim the next, work on it until its time slice is over, claim the next."""

import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from django.db import Error, connection
from django.db.models import F

from apps.common import db
from apps.common.failpoints import failpoint
from apps.jobs import wakeups
from apps.jobs.claims import claim_next
from apps.jobs.models import ClaimLostError, Job
from apps.jobs.outcomes import Backoff
from apps.jobs.registry import SLICE_S, known_kind

GIVE_BACK_S = 3.0
DATABASE_AWAY = timedelta(seconds=5)
BACKOFF = Backoff(first_s=5.0, longest_s=3600.0, growth=4.0)
"""After statements that failed: three attempts take two minutes, five half an hour, and twelve seven hours."""
logger = logging.getLogger(__name__)


def run_jobs(*, task_id: str, is_redelivered: bool, seconds: float = SLICE_S) -> int:
    """Run the jobs whose turn it is, until none is due or the time is over; return how many.

    Raises the Error of a database that is away, or that a job failed with.
    """
    deadline_s = time.monotonic() + seconds
    count = 0
    while (job := claim_next(task_id=task_id, is_redelivered=is_redelivered)) is not None:
        failpoint("jobs.after_claim")
        run(job, deadline_s=deadline_s)
        is_redelivered = False
        count += 1
        if time.monotonic() >= deadline_s:
            wakeups.enqueue_jobs()
            break
    return count


def run(job: Job, *, deadline_s: float) -> None:
    """Work on a job that was claimed, and give it back where the database does not answer or refuses a statement."""
    kind = known_kind(job)
    if kind is None:
        job.claim.end(Job.State.FAILED, reason="unknown_kind", error=f"This version does not know {job.kind}.")
        return
    attempt(job, lambda: kind.run(job, deadline_s))


def attempt(job: Job, work: Callable[[], None]) -> None:
    """Do the work for a job that was claimed; a lost claim ends it, and an Error of the database puts it off."""
    try:
        work()
    except ClaimLostError:
        logger.warning("job_claim_lost", extra={"job": job.pk, "kind": job.kind})
    except Error as error:
        connection.close()
        with suppress(Error), db.limit(seconds=GIVE_BACK_S):
            _give_back(job, error)
        raise


def _give_back(job: Job, error: Error) -> None:
    """Put the job off: for a moment if the database was away, else for longer each time, which spends an attempt.

    A slow statement counts as the job's own: otherwise one team's data could keep all others waiting forever.
    """
    if db.is_database_unavailable(error, but_for={db.QUERY_CANCELED}):
        job.claim.put_off(after=DATABASE_AWAY, reason="database")
        return
    # What the job says of itself may have been rolled back.
    attempts = job.claim.values_list("attempts", flat=True).first() or 0
    wait_s = BACKOFF.wait_s(attempts, chance=random.random())  # noqa: S311  spreads waits, guards nothing
    job.claim.put_off(
        after=timedelta(seconds=wait_s),
        reason="statement_failed",
        error=db.error_message(error),
        attempts=F("attempts") + 1,
    )

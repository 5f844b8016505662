"""Running jobs: claim the next, work on it until its time slice is over, claim the next."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from django.db import Error, connection

from apps.common import db
from apps.common.failpoints import failpoint
from apps.jobs import wakeups
from apps.jobs.claims import claim_next
from apps.jobs.models import ClaimLostError, Job
from apps.jobs.registry import SLICE_S, known_kind

GIVE_BACK_S = 3.0
DATABASE_AWAY = timedelta(seconds=5)
logger = logging.getLogger(__name__)


def run_jobs(*, task_id: str, is_redelivered: bool, seconds: float = SLICE_S) -> int:
    """Run the jobs whose turn it is, until none is due or the time is over; return how many.

    Raises the Error of a database that is away.
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
    """Work on a job that was claimed, and give it back soon where the database does not answer."""
    kind = known_kind(job)
    if kind is None:
        job.claim.end(Job.State.FAILED, reason="unknown_kind", error=f"This version does not know {job.kind}.")
        return
    attempt(job, lambda: kind.run(job, deadline_s))


def attempt(job: Job, work: Callable[[], None]) -> None:
    """Do the work for a job that was claimed; a lost claim ends it, and a database that is away puts it off."""
    try:
        work()
    except ClaimLostError:
        logger.warning("job_claim_lost", extra={"job": job.pk, "kind": job.kind})
    except Error:
        connection.close()
        with suppress(Error), db.limit(seconds=GIVE_BACK_S):
            job.claim.put_off(after=DATABASE_AWAY, reason="database")
        raise

"""The nightly sample: some entities of some repositories are derived again, and what differs from the rows is stored.

One job, which never ends: it compares one repository after the other, and waits for the next night.
"""

import logging
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from apps.activity.models import Repository
from apps.jobs.models import Job
from apps.jobs.registry import JobKind
from apps.metrics.models import RebuildDifference, RebuildSample
from apps.metrics.rebuild import Difference, differences
from apps.metrics.recalculation import drain

STARTS_AT = timedelta(hours=5)
"""After midnight, UTC: what the nightly reconciliation found is mostly recalculated."""
REPOSITORIES, KEYS = 20, 100
"""How many repositories are compared in a night, and of each how many entities of a kind."""
SETTLING_S = 5.0
MOST_ATTEMPTS = 3
"""So often may a statement fail, such as for a lock; a worker that crashed is enough."""
RECALCULATING = timedelta(minutes=10)
KEPT_FOR = timedelta(days=90)
DAY = timedelta(days=1)
logger = logging.getLogger(__name__)


def plan(at_start: bool = False) -> int:
    """Create the job that compares a sample every night; return how many were created."""
    return Job.objects.open(KIND.name, priority=KIND.priority, installations={"all": None})


def run(job: Job, deadline_s: float) -> None:
    """Compare the repositories of the night that are not compared yet, and put the job off."""
    now = datetime.now(UTC)
    sample = ensure_sample((now - STARTS_AT).date())
    if sample.waiting and (job.was_dropped or job.attempts >= MOST_ATTEMPTS):
        skip_next(sample, job=job)
    while sample.waiting and time.monotonic() < deadline_s:
        if not compare_next(sample, job=job):
            job.claim.put_off(after=RECALCULATING, reason="recalculating", attempts=0)
            return
    if sample.waiting:
        job.claim.put_off(after=timedelta(0), reason="")
        return
    finish(sample)
    next_night = datetime.combine(sample.night + DAY, datetime.min.time(), UTC) + STARTS_AT
    job.claim.put_off(after=max(next_night - now, timedelta(0)), reason="", error="", attempts=0)


KIND = JobKind(
    name="compare_figures",
    priority=2,
    run=run,
    plan=plan,
    recurs=True,
    words={"recalculating": ("Changes are recalculated first.", "")},
)


def ensure_sample(night: date) -> RebuildSample:
    """Return the sample of this night; at its start, repositories are chosen at random, and old samples deleted."""
    known = RebuildSample.objects.filter(night=night).first()
    if known is not None:
        return known
    RebuildSample.objects.filter(started_at__lt=Now() - KEPT_FOR).delete()
    chosen = list(Repository.objects.order_by("?").values_list("pk", flat=True)[:REPOSITORIES])
    return RebuildSample.objects.create(night=night, waiting=chosen)


def compare_next(sample: RebuildSample, *, job: Job) -> bool:
    """Compare the next repository and store what differs; False if it must wait for the recalculation."""
    [repository_id, *waiting] = sample.waiting
    derived: Counter[str] = Counter()

    def count(noun: str, done: int, total: int) -> None:
        derived[noun] = done

    found = list(differences([repository_id], progress=count, most=KEYS, settling_s=SETTLING_S))
    if found and not drain(seconds=SETTLING_S):
        return False
    with transaction.atomic():
        _advance(sample, job=job, waiting=waiting, repositories=F("repositories") + 1, compared=derived.total())
        RebuildDifference.objects.bulk_create(
            RebuildDifference(sample=sample, repository_id=repository_id, description=str(one)) for one in found
        )
    _warn(found)
    return True


def skip_next(sample: RebuildSample, *, job: Job) -> None:
    """Leave out the next repository: a worker crashed while comparing it, or it failed too often."""
    [repository_id, *waiting] = sample.waiting
    logger.warning("repository_not_compared", extra={"repository": repository_id})
    with transaction.atomic():
        _advance(sample, job=job, waiting=waiting, skipped=F("skipped") + 1)


def finish(sample: RebuildSample) -> None:
    """Note that the whole sample was compared, once."""
    if RebuildSample.objects.filter(pk=sample.pk, finished_at=None).update(finished_at=Now()):
        found = sample.differences.count()
        sample.refresh_from_db()
        about = {"repositories": sample.repositories, "skipped": sample.skipped, "compared": sample.compared}
        logger.info("figures_compared", extra={**about, "differences": found})


def _advance(sample: RebuildSample, *, job: Job, waiting: list[int], compared: int = 0, **counts: Any) -> None:
    job.hold(advanced_at=Now(), attempts=0)
    changes = {"waiting": waiting, "compared": F("compared") + compared, **counts}
    RebuildSample.objects.filter(pk=sample.pk).update(**changes)
    sample.waiting = waiting


def _warn(found: list[Difference]) -> None:
    for one in found:
        shown = {"repository": one.repository_id, "table": one.table, "key": ":".join(map(str, one.key))}
        logger.error("figure_differs", extra=shown)

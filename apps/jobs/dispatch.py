"""The dispatcher looks for whatever is due. Each message is only a hint: because of this, a lost one costs seconds.

Due deliveries and stale changes come first, with each dispatch. Then come the plans whose interval is over, the one
that waited longest first. A plan is claimed before it runs: while it is slow, other dispatches pass it by, and one that
fails is not repeated before its next interval.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from celery import bootsteps
from celery.exceptions import SoftTimeLimitExceeded

from apps.common import db
from apps.jobs import wakeups
from apps.jobs.registry import plans

LONGEST_S = 15
EVERY_S = 5
QUEUE = "live"
logger = logging.getLogger(__name__)

_FIND_DUE = """
SELECT plan.name FROM unnest(%(names)s::text[]) AS plan (name) LEFT JOIN jobs_plantime AS known USING (name)
WHERE %(at_start)s OR known.due_at IS NULL OR known.due_at <= statement_timestamp()
ORDER BY known.due_at NULLS FIRST, plan.name
"""
_CLAIM_PLAN = """
INSERT INTO jobs_plantime AS known (name, due_at)
VALUES (%(name)s, statement_timestamp() + make_interval(secs => %(every_s)s))
ON CONFLICT (name) DO UPDATE SET due_at = excluded.due_at
WHERE %(at_start)s OR known.due_at <= statement_timestamp()
RETURNING name
"""


def dispatch(*, at_start: bool = False) -> None:
    """Run what each dispatch looks for, then each plan that is due (all where beat has just started), then wake
    workers for due jobs.

    ExceptionGroup of what failed once the others have run. A database that is away, or the end of the time, ends it.
    """
    errors = run_each(_due(at_start=at_start))
    wakeups.enqueue_due()
    if errors:
        raise ExceptionGroup("Some plans failed.", errors)


def run_each(named: Iterable[tuple[str, Callable[[], object]]]) -> list[Exception]:
    """Call each of these functions, also after one failed; return their errors."""
    errors = []
    for name, run in named:
        try:
            run()
        except SoftTimeLimitExceeded:
            raise
        except Exception as error:
            if db.is_database_unavailable(error, but_for={db.QUERY_CANCELED}):
                raise
            logger.exception("plan_failed", extra={"plan": name})
            errors.append(error)
    return errors


def _due(*, at_start: bool) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what each dispatch looks for, then the plans that are due, each as soon as it is claimed."""
    known = {plan.name: plan for plan in plans(at_start=at_start)}
    yield from ((name, plan.run) for name, plan in known.items() if not plan.every_s)
    names = [name for name, plan in known.items() if plan.every_s]
    for (name,) in db.run(_FIND_DUE, {"names": names, "at_start": at_start}):
        if db.run(_CLAIM_PLAN, {"name": name, "every_s": known[name].every_s, "at_start": at_start}):
            yield name, known[name].run


class DispatchTimer(bootsteps.StartStopStep):
    """Enqueue the dispatcher every few seconds while this worker reads the queue live.

    Beat's messages expire by the worker's clock: a worker whose clock is a few seconds ahead, or whose queue is a few
    seconds long, discards them all. These messages do not expire; a dispatch that finds nothing is cheap.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        """Start the timer; called again after each reconnection to the broker."""
        if any(queue.name == QUEUE for queue in parent.task_consumer.queues):
            self._timer = parent.timer.call_repeatedly(EVERY_S, wakeups.enqueue_dispatch)

    def stop(self, parent: Any) -> None:
        """Stop the timer with the connection."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

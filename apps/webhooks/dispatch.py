"""Enqueue due deliveries whose wake-up was lost: each message is only a hint, the inbox says what is due."""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from celery import bootsteps
from django.db import connection
from django.db.models.functions import Now

from apps.activity.models import Change
from apps.common.failpoints import failpoint
from apps.jobs.wakeups import enqueue_due
from apps.webhooks import wakeups
from apps.webhooks.models import OtherBody

ENQUEUE_AGAIN_AFTER_S = 5
CHANGES_MAY_WAIT = timedelta(seconds=5)
MOST_AT_ONCE = 1000
logger = logging.getLogger(__name__)

# The oldest due first, and no further: those behind them are claimed when a worker fills up its batch. Of the slow
# ones, which are processed one at a time, the next; none while one is being processed. As arrays the ids are found
# once, whatever the planner believes of a table that was empty when it was last analyzed: joined, they would be found
# again for each row.
_MARK = """
UPDATE webhooks_delivery SET notified_at = statement_timestamp()
WHERE id = ANY (ARRAY(
    SELECT id FROM webhooks_delivery
    WHERE notified_at < statement_timestamp() - make_interval(secs => %(again)s) AND id = ANY (ARRAY(
        (SELECT id FROM webhooks_delivery
         WHERE state IN ('received', 'failed') AND not_before <= statement_timestamp() AND NOT is_slow
         ORDER BY source, not_before LIMIT %(most)s)
        UNION ALL
        (SELECT id FROM webhooks_delivery
         WHERE state IN ('received', 'failed') AND not_before <= statement_timestamp() AND is_slow
           AND NOT EXISTS (SELECT FROM webhooks_delivery WHERE state = 'running' AND is_slow)
         ORDER BY source, not_before LIMIT 1)
        UNION ALL
        (SELECT id FROM webhooks_delivery
         WHERE state = 'running' AND lease_until < statement_timestamp() ORDER BY lease_until LIMIT %(most)s)
    ))
    FOR UPDATE SKIP LOCKED
))
RETURNING id, is_slow AND state <> 'running'
"""


@dataclass(frozen=True, slots=True)
class Dispatched:
    """The dispatched deliveries, their messages, and whether changes were waiting."""

    deliveries: int
    messages: int
    has_changes: bool


def dispatch() -> Dispatched:
    """Wake workers for due deliveries that were not announced in 5 s, for changes older than 5 s, and for jobs."""
    with connection.cursor() as cursor:
        cursor.execute(_MARK, {"again": ENQUEUE_AGAIN_AFTER_S, "most": MOST_AT_ONCE})
        marked = sorted(cursor.fetchall())
    if marked:
        failpoint("dispatch.after_mark")
    ids = [row_id for row_id, waits_alone in marked if not waits_alone]
    messages = wakeups.enqueue_deliveries(ids)
    if len(ids) < len(marked):
        messages += wakeups.enqueue_slow_delivery()
    has_changes = Change.objects.filter(recorded_at__lt=Now() - CHANGES_MAY_WAIT).exists()
    if has_changes:
        wakeups.enqueue_recalculation()
    if OtherBody.objects.filter(not_before__lte=Now()).exists():
        wakeups.enqueue_comparison()
    enqueue_due()
    if marked:
        logger.info("dispatched", extra={"deliveries": len(marked), "messages": messages})
    return Dispatched(deliveries=len(marked), messages=messages, has_changes=has_changes)


DISPATCH_EVERY_S = 5
QUEUE = "live"


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
            self._timer = parent.timer.call_repeatedly(DISPATCH_EVERY_S, wakeups.enqueue_dispatch)

    def stop(self, parent: Any) -> None:
        """Stop the timer with the connection."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

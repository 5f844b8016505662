"""Waking the workers: messages carry nothing, or ids. A lost one costs seconds, since each is sent again while due."""

import logging
import re
from collections.abc import Callable, Iterable
from functools import partial

from celery import current_app
from django.db.models.functions import Now
from kombu.exceptions import KombuError
from kombu.exceptions import OperationalError as BrokerError
from prometheus_client import Counter
from redis.exceptions import RedisError

from apps.common import db
from apps.jobs.claims import LONGEST_WAIT_S, count_due
from apps.jobs.models import Job

RUN_TASK = "apps.jobs.tasks.run_jobs"
DISPATCH_TASK = "apps.jobs.tasks.dispatch"
EXPIRES_S = 10
"""By then the dispatcher has sent the next message."""
MOST_AT_ONCE = 8
# One attempt, bounded: a broker that accepts and never answers would block forever (celery#4296).
BOUNDED = {"max_retries": 0, "socket_timeout": 1.0, "socket_connect_timeout": 0.5, "retry_on_timeout": False}
BROKER_ERRORS = (BrokerError, KombuError, RedisError, OSError)
WAKEUPS = Counter("tformance_wakeups", "Wake-ups of workers by outcome", ["outcome"])
_SUBJECT = re.compile(r"job (\d+)")
logger = logging.getLogger(__name__)


def enqueue_due() -> int:
    """Wake as many workers as there are jobs to run; return how many messages the broker took."""
    return enqueue_jobs(min(count_due(), MOST_AT_ONCE))


def enqueue_dispatch() -> bool:
    """Wake a worker to look for what is due; return whether the broker took the message."""
    return send([partial(current_app.send_task, DISPATCH_TASK, retry=False, ignore_result=True)]) == 1


def enqueue_jobs(count: int = 1) -> int:
    """Wake so many workers; return how many messages the broker took."""
    wake = partial(current_app.send_task, RUN_TASK, expires=EXPIRES_S, retry=False, ignore_result=True)
    return send([wake] * count) if count else 0


def wake_next_waiter(subject: str | None) -> int:
    """Wake a worker for the job that GitHub's rate limit names as the next, if it waits for that."""
    named = _SUBJECT.fullmatch(subject or "")
    if named is None:
        return 0
    with db.limit(seconds=LONGEST_WAIT_S):
        waiting = Job.objects.filter(pk=int(named[1]), state=Job.State.WAITING, reason="busy")
        is_next = waiting.update(not_before=Now())
    return enqueue_jobs() if is_next else 0


def send(messages: Iterable[Callable[..., object]]) -> int:
    """Send until the broker fails, on a new connection: one kept from before may be half-open, and would take long.

    Return how many were sent. Each message is called with the `producer` to send by.
    """
    sent = 0
    with current_app.connection_for_write(transport_options=BOUNDED) as connection:
        producer = current_app.amqp.Producer(connection, auto_declare=False)
        for message in messages:
            try:
                message(producer=producer)
            except BROKER_ERRORS as error:
                WAKEUPS.labels("failed").inc()
                logger.warning("wakeup_failed", extra={"error": type(error).__name__})
                break
            WAKEUPS.labels("sent").inc()
            sent += 1
    return sent

"""What Celery runs for jobs. Messages carry no ids: what is due stands in the table."""

from typing import Any

from celery import shared_task

from apps.jobs import dispatch as dispatching
from apps.jobs import runner


@shared_task(
    bind=True,
    name="apps.jobs.tasks.run_jobs",
    acks_late=True,  # with the next line: a killed child's message comes back, and its claim is taken over
    reject_on_worker_lost=True,
    ignore_result=True,
)
def run_jobs(self: Any) -> int:
    """Run the jobs whose turn it is."""
    is_redelivered = bool((self.request.delivery_info or {}).get("redelivered"))
    return runner.run_jobs(task_id=self.request.id, is_redelivered=is_redelivered)


@shared_task(
    name="apps.jobs.tasks.dispatch",
    ignore_result=True,
    soft_time_limit=dispatching.LONGEST_S,  # nothing that is slow keeps a worker from deliveries
    time_limit=2 * dispatching.LONGEST_S,
)
def dispatch(*, at_start: bool = False) -> None:
    """Wake workers for what is due, and run the plans that are due; beat and each live worker send this every 5 s.

    `at_start`: beat has just started, so something may have been down.
    """
    dispatching.dispatch(at_start=at_start)

"""What Celery runs for jobs. Messages carry no ids: what is due stands in the table."""

from typing import Any

from celery import shared_task

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


@shared_task(name="apps.jobs.tasks.plan_jobs", ignore_result=True)
def plan_jobs(*, at_start: bool = False) -> None:
    """Open the jobs that are to be done, and wake the workers for all that is due; beat runs it every 5 s.

    `at_start`: beat has just started, so something may have been down.
    """
    runner.plan(at_start=at_start)

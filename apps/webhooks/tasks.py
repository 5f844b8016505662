"""Celery tasks of the inbox. Messages have ids and never payloads; each task may run any number of times."""

from typing import Any

from celery import shared_task

from apps.webhooks import intake, worker


@shared_task(
    bind=True,
    name="apps.webhooks.tasks.process_deliveries",
    acks_late=True,  # with the next line: a killed child's message comes back, and its claims are taken over
    reject_on_worker_lost=True,
    ignore_result=True,
)
def process_deliveries(self: Any, ids: list[int]) -> int:
    """Process the named deliveries and whatever else is due."""
    is_redelivered = bool((self.request.delivery_info or {}).get("redelivered"))
    return worker.drain(ids, task_id=self.request.id, is_redelivered=is_redelivered)


@shared_task(bind=True, name="apps.webhooks.tasks.process_slow_deliveries", ignore_result=True)
def process_slow_deliveries(self: Any) -> int:
    """Process the slow deliveries that are due: alone, after all others, and one at a time among all workers.

    While none is, compare what came again under a known key with other bytes.
    """
    return worker.drain_slow(task_id=self.request.id) or intake.compare_other_bodies()

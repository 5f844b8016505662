"""Beat and workers in a test: whatever is rung for is done, and rung for again, until nobody has anything to do."""

import time
from collections.abc import Callable, Collection
from typing import Any

from celery import current_app

from apps.activity.models import Change
from apps.integrations.models import Backfill, RepositorySync, SyncLog
from apps.webhooks.models import Delivery
from tformance.schedule import SCHEDULE

QUEUES = ("live", "figures", "backfill", "maintenance")
TICK_S = 0.05
LONGEST_S = 120.0


def work_off(*, ticks: Collection[str] | None = None, is_done: Callable[[], bool] | None = None) -> None:
    """Beat ticks, all entries at once or those of these tasks, and workers do what they hear, until nothing is left.

    What waits for a limit or a retry is waited for.
    """
    current_app.loader.import_default_modules()
    deadline = time.monotonic() + LONGEST_S
    while True:
        tick(ticks)
        has_worked = hear()
        if not has_worked and (is_done or is_quiet)():
            return
        assert time.monotonic() < deadline, f"still at work after {LONGEST_S:.0f} s: {unfinished()}"
        if not has_worked:
            time.sleep(TICK_S)


def tick(tasks: Collection[str] | None = None) -> None:
    """Every entry of beat's schedule, once, or those of these tasks."""
    for name in dict.fromkeys(entry["task"] for entry in SCHEDULE.values()):
        if tasks is None or name.rpartition(".")[2] in tasks:
            run(name)


def hear() -> int:
    """Do what the messages say; how many there were."""
    count = 0
    while (message := next_message()) is not None:
        run(message.headers["task"], *message.payload[0], task_id=message.headers["id"], **message.payload[1])
        count += 1
    return count


def run(task: str, /, *arguments: Any, task_id: str | None = None, **keywords: Any) -> Any:
    """The task as a worker runs it; what it raises fails the test."""
    return current_app.tasks[task].apply(args=arguments, kwargs=keywords, task_id=task_id, throw=True).result


def next_message() -> Any:
    """The next message of any queue, taken for good."""
    with current_app.connection_for_read() as broker:
        for queue in QUEUES:
            message = current_app.amqp.queues[queue](broker.default_channel).get(no_ack=True)
            if message is not None:
                return message
    return None


def forget_messages() -> None:
    """Empty every queue."""
    with current_app.connection_for_write() as broker:
        for queue in QUEUES:
            broker.default_channel.queue_purge(queue)


def is_quiet() -> bool:
    return not any(unfinished().values())


def unfinished() -> dict[str, int]:
    """What somebody still has to do."""
    return {
        "deliveries": Delivery.objects.filter(state__in=Delivery.UNFINISHED).count(),
        "changes": Change.objects.count(),
        "walks": Backfill.objects.unfinished().count(),
        "syncs": SyncLog.objects.filter(status__in=SyncLog.UNFINISHED).count(),
        "repositories": RepositorySync.objects.filter(state__in=RepositorySync.UNFINISHED).count(),
    }

"""Workers in a test of runs: they take real messages from the real broker. Repositories are compared by hand."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from celery import current_app
from django.db.models.functions import Now

from apps.integrations import tasks
from apps.integrations.models import RepositorySync, SyncLog, TeamSync
from apps.integrations.reconciliation import run_endings, schedule

QUEUES = ("live", "maintenance", "backfill")
REPOSITORIES = "run_jobs"


@dataclass(slots=True)
class Workers:
    """Beat and workers; `done` counts the messages that the workers ran, by the task's last name."""

    done: Counter[str] = field(default_factory=Counter)

    def beat(self, now: datetime | None = None) -> int:
        """What beat does every minute, at this time; and what the workers make of it."""
        opened = schedule.open_due(now=now or schedule.database_time())
        schedule.enqueue_due()
        self.work()
        return opened

    def conclude(self) -> int:
        """What beat does every 15 s, twice: the results of team runs, then the ends of runs."""
        before = SyncLog.objects.unfinished().count()
        run_endings.conclude()
        self.work()
        run_endings.conclude()
        return before - SyncLog.objects.unfinished().count()

    def work(self) -> None:
        """Work off messages until there is none."""
        while (message := take_message()) is not None:
            name, args, links = message
            self.done[name.rpartition(".")[2]] += 1
            task = getattr(tasks, name.rpartition(".")[2], None) or current_app.tasks.get(name)
            if task is not None and not name.endswith(REPOSITORIES):  # repositories are compared by hand
                task.apply(args=args, **links)


def take_message() -> tuple[str, list[Any], dict[str, Any]] | None:
    """The next message of any queue, taken for good: the task, its arguments, and its callbacks."""
    with current_app.connection_for_read() as broker:
        for queue in QUEUES:
            message: Any = current_app.amqp.queues[queue](broker.default_channel).get(no_ack=True)
            if message is not None:
                args, _, embedded = message.payload
                links = {"link": embedded["callbacks"], "link_error": embedded["errbacks"]}
                return message.headers["task"], args, links
    return None


def forget_messages() -> None:
    with current_app.connection_for_write() as broker:
        for queue in QUEUES:
            broker.default_channel.queue_purge(queue)


def compare(*names: str, sync: SyncLog | None = None, error: str = "") -> int:
    """Leave rows as a worker does that has compared their repositories: done, or failed with GitHub's words.

    However far a real worker has come with them: it has lost them then.
    """
    rows = RepositorySync.objects.filter(state__in=RepositorySync.UNFINISHED)
    if names:
        rows = rows.filter(repository__full_name__in=names)
    if sync is not None:
        rows = rows.filter(sync=sync)
    return rows.update(state="failed" if error else "done", error=error, finished_at=Now(), lease_until=None)


def expire_leases() -> None:
    """A minute and a quarter passes for whatever workers were notified of."""
    TeamSync.objects.exclude(notified_at=None).update(notified_at="2020-01-01T00:00:00Z")

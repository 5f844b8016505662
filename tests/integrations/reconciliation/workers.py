"""Beat and workers in a test, who work until nothing is due, and whole runs of which the drift is looked at."""

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from itertools import count
from typing import Any

from celery import current_app

from apps.activity.models import Change, Repository
from apps.activity.record import record
from apps.demo.scenario import Sent
from apps.integrations.models import Backfill, Drift, DriftedEntity, MissedDelivery, RepositorySync, SyncLog
from apps.integrations.reconciliation.fan_out import verify_each
from apps.integrations.streams import STREAM_NAMES, STREAMS
from apps.jobs import runner
from apps.jobs.claims import claim_next
from apps.jobs.models import PlanTime
from apps.jobs.registry import SLICE_S
from apps.jobs.wakeups import RUN_TASK, enqueue_jobs
from apps.webhooks.models import Delivery
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME
from tests.github.translation import evidence_of
from tests.integrations.backfill.installed import backfill
from tests.integrations.backfill.workers import BackfillWorkers
from tformance.celery_settings import SCHEDULE

QUEUES = ("live", "figures", "backfill", "maintenance")
OFTEN = timedelta(minutes=1)
TICK_S = 0.05
LONGEST_REST_S = 120.0


def work_off(*, meanwhile: Callable[[], None] | None = None, is_done: Callable[[], bool] | None = None) -> None:
    """Plan jobs and run messages, until nothing is left; before each message `meanwhile` happens.

    What waits for a limit or a retry is waited for.
    """
    current_app.loader.import_default_modules()
    left, deadline = unfinished(), time.monotonic() + LONGEST_REST_S
    while True:
        tick(frequent())
        has_worked = run_messages(meanwhile)
        if not has_worked and (is_done or is_idle)():
            return
        if has_worked or unfinished() != left:
            left, deadline = unfinished(), time.monotonic() + LONGEST_REST_S
            continue
        assert time.monotonic() < deadline, f"no progress with {left}"
        time.sleep(TICK_S)


def frequent() -> list[str]:
    """The tasks that beat sends every minute or more often."""
    entries = SCHEDULE.values()
    return [entry["task"] for entry in entries if getattr(entry["schedule"], "run_every", timedelta.max) <= OFTEN]


def tick(tasks: Iterable[str]) -> None:
    """What beat does when each of these is due, as if the interval of each plan were over."""
    PlanTime.objects.all().delete()
    for name in tasks:
        run(name)


def run_messages(meanwhile: Callable[[], None] | None = None) -> int:
    """Do what the messages say, and what is to follow on it; how many there were."""
    count = 0
    while (message := next_message()) is not None:
        if meanwhile is not None:
            meanwhile()
        arguments, keywords, about = message.payload
        follows = {"link": about["callbacks"], "link_error": about["errbacks"]}
        perform(message.headers["task"], arguments, keywords, task_id=message.headers["id"], **follows)
        count += 1
    return count


def perform(task: str, arguments: Any, keywords: Any, **about: Any) -> Any:
    """The task as a worker runs it; what it raises fails the test, unless something is to follow on that.

    A message runs one job, so that what happens meanwhile happens between any two.
    """
    if task == RUN_TASK:
        job = claim_next(task_id=about.get("task_id", "a task"))
        if job is not None:
            runner.run(job, deadline_s=time.monotonic() + SLICE_S)
            enqueue_jobs()
        return None
    is_expected = bool(about.get("link_error"))
    return current_app.tasks[task].apply(arguments, keywords, throw=not is_expected, **about).result


def run(task: str, /, *arguments: Any, **keywords: Any) -> Any:
    """Run the task, as if it had been sent."""
    return perform(task, arguments, keywords)


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


def is_idle() -> bool:
    return not any(unfinished().values())


def unfinished() -> dict[str, int]:
    """Unfinished work, counted."""
    return {
        "deliveries": Delivery.objects.filter(state__in=Delivery.UNFINISHED).count(),
        "changes": Change.objects.count(),
        "backfills": Backfill.objects.unfinished().count(),
        "syncs": SyncLog.objects.filter(status__in=SyncLog.UNFINISHED).count(),
        "missed deliveries": MissedDelivery.objects.open().count(),
        "repositories": RepositorySync.objects.filter(state__in=RepositorySync.UNFINISHED).count(),
    }


RUNS, TOGETHER = count(1), 20


def deliveries_about(fake: FakeGitHub, repository_id: int) -> list[Sent]:
    """Every webhook of the repository."""
    return [sent for sent in fake.world.deliveries() if sent.payload["repository"]["id"] == repository_id]


def deliver(deliveries: Iterable[Sent]) -> None:
    """Record these webhooks, some together, as workers do."""
    pieces = evidence_of(deliveries)
    for start in range(0, len(pieces), TOGETHER):
        record(pieces[start : start + TOGETHER])


def begin_sync(repository: Repository) -> RepositorySync:
    """The repository in a run of its own."""
    run = SyncLog.objects.create(sync_id=f"manual:{next(RUNS)}", cause=SyncLog.Cause.MANUAL, status="running")
    verify_each(run.pk, {repository.pk: ACME})
    RepositorySync.objects.filter(sync=run).update(reason=RepositorySync.READING)
    return RepositorySync.objects.get(sync=run)


def read_streams(
    workers: BackfillWorkers, sync: RepositorySync, *, streams: Sequence[str] = STREAM_NAMES, **about: Any
) -> list[Backfill]:
    """Walk the streams for the run, each to its end."""
    return [
        workers.advance(
            backfill(sync.repository, stream=stream, sync=sync, **{"page_size": STREAMS[stream].page_size, **about})
        )
        for stream in streams
    ]


def drift_of(sync: RepositorySync, *names: str) -> dict[str, tuple[int, ...]]:
    """By stream: how many were missing and stale, or what else is named."""
    rows = Drift.objects.filter(repository_sync=sync).order_by("stream")
    return {row.stream: tuple(getattr(row, name) for name in names or ("missing", "stale")) for row in rows}


def drifted(sync: RepositorySync) -> set[tuple[str, str, str]]:
    """What was off: kind, key and how."""
    rows = DriftedEntity.objects.filter(repository_sync=sync)
    return set(rows.values_list("entity", "key", "finding"))

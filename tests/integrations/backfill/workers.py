"""Workers in a test claim jobs as tasks do; things done side by side, or while GitHub answers."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from celery import current_app
from django.db import connection

from apps.github import auth
from apps.github.auth import GitHubAccess
from apps.integrations.backfill.run import read_stream
from apps.integrations.models import Backfill
from apps.integrations.reader import StreamReader
from apps.integrations.streams import STREAMS
from apps.jobs import runner
from apps.jobs.claims import claim, claim_next
from apps.jobs.models import Job
from apps.jobs.registry import SLICE_S
from apps.jobs.wakeups import RUN_TASK
from tests.fake_github.faults import Answered, Asked, Fault, graphql

QUEUE = "backfill"


@dataclass(slots=True, kw_only=True)
class BackfillWorkers:
    """Workers; `ran` is the ids of the jobs that they ran so far, in this order."""

    access: GitHubAccess
    streams: Mapping[str, StreamReader] = field(default_factory=lambda: STREAMS)
    seconds: float = SLICE_S
    ran: list[int] = field(default_factory=list)

    def advance(self, backfill: Backfill, *, task_id: str = "a task", is_redelivered: bool = False) -> Backfill:
        """Read on for one backfill, if it is due or this task held it; the row afterwards."""
        job = claim(backfill.pk, task_id=task_id, is_redelivered=is_redelivered)
        if job is not None:
            self._run(job)
        backfill.refresh_from_db()
        return backfill

    def work(self, *, hands: int = 1) -> int:
        """Run jobs until none may be claimed; how many there were."""
        before = len(self.ran)
        if hands == 1:
            self._work_off()
        else:
            with ThreadPoolExecutor(hands) as workers:
                for done in [workers.submit(self._work_off_elsewhere) for _ in range(hands)]:
                    done.result()
        return len(self.ran) - before

    def _work_off(self) -> None:
        while (job := claim_next(task_id=str(uuid4()))) is not None:
            self.ran.append(job.pk)
            self._run(job)

    def _work_off_elsewhere(self) -> None:
        """On a thread, and so a database connection, of its own."""
        try:
            self._work_off()
        finally:
            connection.close()

    def _run(self, job: Job) -> None:
        deadline_s = time.monotonic() + self.seconds
        if job.kind == Backfill.KIND:
            read = {"access": self.access, "deadline_s": deadline_s, "streams": self.streams}
            runner.attempt(job, lambda: read_stream(job, **read))  # type: ignore[arg-type]
            return
        run_with(self.access, job, deadline_s=deadline_s)


def run_with(access: GitHubAccess, job: Job, *, deadline_s: float) -> None:
    """Run a claimed job of any kind with this access to GitHub."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(auth, "github", lambda: access)
        runner.run(job, deadline_s=deadline_s)


def take_messages() -> int:
    """Take every wake-up from the queue; how many there were."""
    count = 0
    with current_app.connection_for_read() as broker:
        queue: Any = current_app.amqp.queues[QUEUE](broker.default_channel)
        while (message := queue.get(no_ack=True)) is not None:
            count += message.headers["task"] == RUN_TASK
    return count


def forget_messages() -> None:
    """Empty the queue."""
    with current_app.connection_for_write() as broker:
        broker.default_channel.queue_purge(QUEUE)


Done = TypeVar("Done")


def side_by_side(*calls: Callable[[], Done]) -> list[Done]:
    """Call all of them at once; what each returned."""
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], Done]) -> Done:
        try:
            gate.wait()
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def during_page(number: int, act: Callable[[], Any]) -> Fault:
    """Do something while GitHub answers its page of this number, 1 for the first."""
    seen = 0

    def change(asked: Asked, answer: Answered) -> Answered:
        nonlocal seen
        seen += 1
        if seen == number:
            act()
            connection.close()  # nobody else ends what a thread of the fake has opened
        return answer

    return Fault(change, graphql, times=None, is_instead=False)

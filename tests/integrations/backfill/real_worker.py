"""A real Celery worker that reads the fake GitHub, and may be killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from celery import current_app
from django.db import connection

from apps.github.rate_limit import key, redis_client
from apps.integrations.models import Backfill
from apps.jobs import wakeups
from apps.jobs.models import Job
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME
from tests.integrations.backfill.workers import QUEUE
from tests.webhooks.conftest import PATIENCE_S, eventually
from tformance.celery_settings import QUEUES

COMMAND = (
    *(sys.executable, "-m", "celery", "--app", "tformance", "worker", "--pool", "prefork"),
    *("--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"),
)


@dataclass(slots=True, kw_only=True)
class RealWorker:
    """A main process and one child, which does the work."""

    environment: dict[str, str]
    queues: str = QUEUE
    log: Path = Path(os.devnull)
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "--queues", self.queues, "--concurrency", "1"], env=self.environment, stdout=log, stderr=log
            )

    @property
    def main(self) -> psutil.Process:
        assert self.process is not None
        return psutil.Process(self.process.pid)

    def children(self) -> list[psutil.Process]:
        return self.main.children()

    def kill_child(self) -> bool:
        """Kill -9 the working process; return whether there was one."""
        found = self.children()
        for child in found:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        return bool(found)

    def kill(self) -> None:
        """Kill -9 all of it, as a machine that loses its power."""
        assert self.process is not None
        living = [self.main, *self.children()]
        for one in living:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        self.process.wait()

    def stop(self) -> None:
        """As a deployment does: whatever was begun is finished."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()


@contextmanager
def working(
    fake: FakeGitHub,
    *,
    crash_folder: Path | None = None,
    queues: str = QUEUE,
    log: Path = Path(os.devnull),
    **settings: str,
) -> Iterator[RealWorker]:
    """A worker on the tests' database that takes the fake for GitHub."""
    address = f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{connection.settings_dict['NAME']}"
    environment = {
        **os.environ,
        "DATABASE_URL": address,
        "TFORMANCE_ROLE": "worker",
        "GITHUB_API_URL": fake.url,
        "GITHUB_APP_ID": str(APP_ID),
        "GITHUB_APP_PRIVATE_KEY": app_pem(),
        "CRASH_AT": str(crash_folder or ""),
        **settings,
    }
    worker = RealWorker(environment=environment, queues=queues, log=log)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def end_all_tasks() -> None:
    """Forget all messages and wait until the workers have ended every task.

    What they write must not meet the deletion of all rows after a test: each would wait for the other.
    """

    def is_idle() -> bool:
        with current_app.connection_for_write() as broker:
            for queue in QUEUES:
                broker.default_channel.queue_purge(queue)
        time.sleep(0.05)  # a worker that took a message just now has noted it by then
        return not redis_client().hlen("unacked")  # it stays there until its task has ended

    eventually(lambda: is_idle() and is_idle())


def let_a_minute_pass() -> None:
    """Whatever the dead still hold, in the database and of GitHub's budget, is free."""
    Job.objects.filter(kind=Backfill.KIND, state="running").update(lease_until="2020-01-01T00:00:00Z")
    redis_client().delete(key(ACME, "leases"))


def enqueue_until_finished(*, within_s: float = PATIENCE_S) -> None:
    """Beat sends wake-ups until every backfill is done."""

    def is_over() -> bool:
        wakeups.enqueue_due()
        return not Backfill.objects.unfinished().exists()

    eventually(is_over, within_s=within_s)

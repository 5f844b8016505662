"""Three busy repositories on the fake GitHub, and what of all that happens there reaches us."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.core.management import call_command
from django.db.models.functions import Least, Now

from apps.activity.models import Coverage
from apps.demo.deliveries import body_of
from apps.demo.scenario import Sent
from apps.integrations.models import Backfill, SyncLog
from apps.jobs.models import Job
from apps.webhooks import signature
from tests.fake_github.delivery_log import DeliveryLog, keep_log
from tests.fake_github.organisations import Busy, Pace
from tests.fake_github.server import FakeGitHub
from tests.integrations.reconciliation.true_tables import differences
from tests.integrations.reconciliation.workers import work_off
from tests.webhooks.conftest import GitHub

NAMES = {11: "one", 12: "two", 13: "three"}
A_BREATH = 3
"""So many deliveries arrive before each message that a worker takes, where events go on meanwhile."""


@dataclass(slots=True)
class Organisation:
    """What happens at GitHub, and what of it reaches us."""

    busy: Busy
    log: DeliveryLog
    coming: list[Sent] = field(default_factory=list)
    """What has not happened yet."""

    @classmethod
    def on(cls, hub: FakeGitHub, *, pull_requests: int) -> "Organisation":
        """Nothing has happened yet; what comes takes some ten hours, and is over an hour ago."""
        github = GitHub()

        def post(sent: Sent) -> int:
            return int(github.post(body_of(sent.payload), event=sent.event, guid=sent.guid).status_code)

        signature.forget_secrets()
        log = keep_log(hub, post=post)
        busy, now = Busy(hub.world), datetime.now(UTC).replace(microsecond=0)
        start, end = now - timedelta(hours=22), now - timedelta(hours=12)
        for repository_id, name in NAMES.items():
            pace = Pace(pull_requests=pull_requests)
            busy.add(name, repository_id=repository_id, start=start, end=end, pace=pace)
        return cls(busy, log, coming=[sent for sent in busy.deliveries if sent.at < now - timedelta(hours=1)])

    def take(self, count: int) -> list[Sent]:
        """The next of what is coming."""
        taken, self.coming = self.coming[:count], self.coming[count:]
        return taken

    def happen(self, deliveries: Sequence[Sent]) -> None:
        """It happens, and is posted."""
        self.busy.happen(deliveries)
        self.log.deliver(deliveries)

    def go_on(self) -> None:
        """A little more of what is coming happens."""
        self.happen(self.take(A_BREATH))

    def begin(self, count: int) -> None:
        """The first so many deliveries arrive, and everything is read and scanned once."""
        first = self.take(count)
        self.happen(first)
        work_off()
        assert self.differences() == []
        then = first[-1].at  # the story is hours old: so is what was read up to there
        Coverage.objects.update(from_at=Least("from_at", then), to_at=then)
        Backfill.objects.update(created_at=then, started_at=then, advanced_at=then, finished_at=then)

    def differences(self) -> list[str]:
        return [found for repository_id in NAMES for found in differences(self.busy.truth(repository_id))]

    def differences_but_for_times(self) -> list[str]:
        """Without the times of what happened to pull requests: webhooks have them only to about a second."""
        return [found for found in self.differences() if "histories" not in found and "dismissed_at" not in found]


def reconcile(meanwhile: Callable[[], None] | None = None) -> SyncLog:
    """A run over everything, from its start to its end; it has to succeed."""
    call_command("reconcile", "--all")
    work_off(meanwhile=meanwhile)
    run = SyncLog.objects.latest("pk")
    assert run.status == SyncLog.Status.COMPLETED
    return run


def list_commits() -> None:
    """The rests between two requests for the commits of pull requests go by."""
    for _ in range(3):
        Job.objects.filter(kind="refresh_pull_requests").update(not_before=Now())
        work_off()

"""Runs of reconciliation in tests: rows as a fan-out creates them, and workers who bring them to their end."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from apps.activity.coverage import Stretch, cover_together
from apps.activity.models import Coverage, Repository
from apps.github.auth import GitHubAccess
from apps.integrations.backfill.start import Scope, start
from apps.integrations.models import Backfill, RepositorySync, StreamMark, SyncLog
from apps.integrations.reconciliation.fan_out import verify_each
from apps.integrations.reconciliation.repository_verification import verify_repository
from apps.integrations.streams import STREAM_NAMES
from apps.jobs.claims import claim
from apps.jobs.registry import SLICE_S
from apps.jobs.runner import attempt
from tests.fake_github.generated import BEGINNING
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, Clock
from tests.integrations.backfill.workers import BackfillWorkers

DAY, HOURS = timedelta(days=1), timedelta(hours=6)
_numbers = count(1)


@dataclass(slots=True, kw_only=True)
class Nights:
    """Workers of a nightly run."""

    fake: FakeGitHub
    clock: Clock
    workers: BackfillWorkers
    access: GitHubAccess
    logs: list[SyncLog] = field(default_factory=list)

    def backfill(self) -> None:
        """Everything that there is was read some hours ago, so that no repository is due to be read again."""
        start(Repository.objects.all(), scope=Scope())
        self.workers.work()
        assert not Backfill.objects.exclude(state="done").exists()
        self.pass_time(HOURS)

    def cover(self, repositories: Iterable[Repository]) -> None:
        """All of their history was read just now, and held nothing."""
        at = timezone.now()
        cover_together(
            [
                Stretch(repository_id=repository.pk, stream=stream, from_at=BEGINNING, to_at=at)
                for repository in repositories
                for stream in STREAM_NAMES
            ]
        )

    def begin(self, repositories: Iterable[Repository] | None = None) -> list[RepositorySync]:
        """Fan a run out over these repositories, else over all."""
        log = SyncLog.objects.create(sync_id=f"nightly:{next(_numbers)}", cause="nightly", is_fanned_out=True)
        self.logs.append(log)
        chosen = repositories if repositories is not None else Repository.objects.order_by("pk")
        verify_each(log.pk, {repository.pk: ACME for repository in chosen})
        return list(RepositorySync.objects.filter(sync=log).order_by("pk"))

    def probe(self, installation_id: int = ACME) -> None:
        """Probe what is due of the installation, as one worker after the other would; nothing while another does."""
        own = RepositorySync.objects.filter(installation=installation_id)
        while not own.filter(state="running", lease_until__gte=Now()).exists():
            due = own.filter(probed_at=None).exclude(pk__in=own.resting().values("pk")).unfinished()
            row = due.order_by("not_before", "pk").first()
            if row is None:
                return
            self.verify(row)
            row.refresh_from_db()
            if row.reason not in {"", RepositorySync.READING, "crashed"}:
                return  # GitHub said no

    def verify(self, row: RepositorySync) -> None:
        """Do what is next for one repository, if it is due."""
        job = claim(row.pk, task_id="a worker")
        if job is not None:
            deadline_s = time.monotonic() + SLICE_S
            attempt(job, lambda: verify_repository(job, access=self.access, deadline_s=deadline_s))

    def finish(self) -> None:
        """Run backfills and verifications until nothing is left to do."""
        for _ in range(20):
            RepositorySync.objects.verify_what_is_read()
            self.workers.work()
            if not self.unfinished():
                return
        raise AssertionError(list(self.unfinished().values()))

    def unfinished(self) -> QuerySet[RepositorySync]:
        return RepositorySync.objects.unfinished()

    def run(self) -> list[RepositorySync]:
        """A whole night; its rows afterwards."""
        rows = self.begin()
        self.probe()
        self.finish()
        return list(RepositorySync.objects.filter(pk__in=[row.pk for row in rows]).order_by("repository"))

    def pass_time(self, by: timedelta) -> None:
        """Let so much time pass, as far as what was read is concerned.

        On GitHub's clock, which tells whole seconds, it is a few of them: what is read later is newer.
        """
        self.clock.wind(5)
        StreamMark.objects.update(passed_at=F("passed_at") - by, reread_at=F("reread_at") - by)
        Coverage.objects.update(from_at=F("from_at") - by, to_at=F("to_at") - by)

    def points(self, since: int = 0) -> int:
        """What GraphQL cost from the request of this number on."""
        return sum(call.cost for call in self.fake.calls("graphql")[since:])


def backfills_of_runs() -> dict[str, str]:
    """Return the state of the last backfill of each stream in a run."""
    own = Backfill.objects.filter(sync__isnull=False).order_by("pk")
    return {backfill.stream: backfill.state for backfill in own}

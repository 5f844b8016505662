"""A repository with recent pull requests on the fake GitHub, whose webhooks are delivered except for the pushes.

So the tables have everything of them but their commits.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.db.models import F
from django.utils import timezone

from apps.demo.pull_request_life import PullRequestLife
from apps.demo.repository_life import RepositoryLife
from apps.demo.scenario import Scenario, Sent
from apps.github import auth
from apps.github.auth import GitHubAccess
from apps.integrations.models import RefreshFailure
from apps.integrations.refresh import KIND, open_refreshes
from apps.jobs import runner
from apps.jobs.claims import claim
from apps.jobs.models import Job
from apps.metrics.recalculation import drain as recalculate
from apps.webhooks.worker import drain as process
from tests.fake_github.generated import BLOCK, IDS_EACH, PEOPLE
from tests.fake_github.server import FakeGitHub
from tests.fake_github.truth import PullRequestTruth
from tests.fake_github.using import ACME, API
from tests.github.translation import Door

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BEGAN_BEFORE = timedelta(hours=5)
"""How long before its opening the first commit of a pull request was written."""


@dataclass(slots=True)
class LiveRepository:
    """A repository in which a test lets things happen."""

    fake: FakeGitHub
    name: str = "api"
    identity: int = API
    installation_id: int = ACME
    lives: dict[int, PullRequestLife] = field(default_factory=dict)
    place: RepositoryLife = field(init=False)
    posted: int = 0

    def __post_init__(self) -> None:
        account = self.fake.world.installations[self.installation_id].account
        scenario = Scenario(
            f"{self.name} of {self.identity}",
            owner=account,
            installation_id=self.installation_id,
            first_id=self.identity * BLOCK + IDS_EACH,
        )
        self.place = RepositoryLife(scenario, identity=self.identity, name=self.name, created_at=now() - 400 * DAY)
        self.place.create(now() - 300 * DAY, by=PEOPLE[0])
        scenario.install(now() - 200 * DAY, self.place.now)

    def open(self, *numbers: int, ago: timedelta = MINUTE, commits: int = 2) -> "LiveRepository":
        """Pull requests are opened, each with so many commits."""
        for number in numbers:
            life = PullRequestLife(
                self.place,
                number=number,
                author=PEOPLE[number % 6],
                title=f"Change {number}",
                branch=f"change-{number}",
            )
            self.lives[number] = life
            at = now() - ago
            life.push(at - HOUR, authored_at=at - BEGAN_BEFORE)
            for _ in range(commits - 1):
                life.push(at - HOUR)
            life.open(at)
        return self

    def push(self, number: int, *, ago: timedelta = MINUTE) -> "LiveRepository":
        """One more commit for a pull request that is open."""
        self.lives[number].push(now() - ago)
        return self

    def happen(self) -> list[Sent]:
        """It comes true on GitHub; the deliveries of what is new."""
        sent = self.place.scenario.deliveries()
        self.fake.world.fold(sent, installation_id=self.installation_id)
        new, self.posted = sent[self.posted :], len(sent)
        return new

    def deliver(self) -> "LiveRepository":
        """It comes true, its webhooks are delivered and processed."""
        Door().deliver(sent for sent in self.happen() if sent.event != "push")
        work_off()
        return self

    def truth(self, number: int) -> PullRequestTruth:
        found = self.fake.world.repositories[self.identity].pull_requests.get(number)
        assert found is not None
        return found


def now() -> datetime:
    """To the second, as GitHub's times are."""
    return timezone.now().replace(microsecond=0)


def work_off() -> None:
    """Do what notified workers do."""
    process([], task_id=str(uuid4()), is_redelivered=False)
    recalculate(seconds=60)


def opened(installation_id: int = ACME) -> Job:
    """Open the installation's job, if none is unfinished, and return it."""
    open_refreshes([installation_id])
    return Job.objects.get(kind=KIND.name, installation=installation_id)


def refreshed(worker: GitHubAccess, *, installation_id: int = ACME, seconds: float = 10.0) -> Job:
    """Do what a worker does for the installation, unless its job waits; return the job afterwards."""
    job = opened(installation_id)
    claimed = claim(job.pk, task_id="a task")
    if claimed is not None:
        run(claimed, deadline_s=time.monotonic() + seconds, access=worker)
        recalculate(seconds=60)
    job.refresh_from_db()
    return job


def run(job: Job, *, deadline_s: float, access: GitHubAccess) -> None:
    """Run it as a worker does, with this access to GitHub."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(auth, "github", lambda: access)
        runner.run(job, deadline_s=deadline_s)


def pass_time(by: timedelta) -> None:
    """Let so much time pass, as far as waits and leases are concerned."""
    Job.objects.update(not_before=F("not_before") - by, lease_until=F("lease_until") - by)
    RefreshFailure.objects.update(not_before=F("not_before") - by, tried_at=F("tried_at") - by)


def commit_ids(truths: Iterable[PullRequestTruth]) -> set[str]:
    return {commit["id"] for truth in truths for commit in truth.commits}

"""The cast: GitHub with one installation and a repository whose history was read, and those who reconcile it."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from apps.demo.issue_life import IssueLife
from apps.github.auth import GitHubAccess
from tests.fake_github.generated import PEOPLE
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, Clock, forget_everything
from tests.integrations.backfill.workers import BackfillWorkers, forget_messages
from tests.integrations.reconciliation.repositories.night_runs import Nights
from tests.integrations.refresh.live_repository import LiveRepository, now

LONG_AGO = timedelta(days=20)


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeGitHub]:
    forget_everything()
    with FakeGitHub(clock=clock) as server:
        server.world.install(ACME)
        yield server
        assert not server.bugs, server.bugs[0]
    forget_everything()


@pytest.fixture
def nights(fake: FakeGitHub, clock: Clock, worker: GitHubAccess) -> Iterator[Nights]:
    forget_messages()
    yield Nights(fake=fake, clock=clock, access=worker, workers=BackfillWorkers(access=worker))
    forget_messages()


@pytest.fixture
def api(fake: FakeGitHub, nights: Nights) -> LiveRepository:
    """A repository in which something of every kind happened weeks ago; all of it arrived and was read."""
    live = LiveRepository(fake)
    live.open(1, 2, ago=LONG_AGO)
    issue = IssueLife(live.place, number=51, author=PEOPLE[0], title="Trouble", body="It hurts.")
    issue.open(now() - LONG_AGO)
    issue.comment(now() - LONG_AGO, by=PEOPLE[1])
    live.lives[1].comment(now() - LONG_AGO, by=PEOPLE[1])
    live.lives[2].remark(now() - LONG_AGO, by=PEOPLE[1])
    live.place.release(now() - LONG_AGO, tag="v1", by=PEOPLE[0])
    live.place.deploy(
        now() - LONG_AGO, to="production", by=PEOPLE[0], finished_at=now() - LONG_AGO + timedelta(minutes=5)
    )
    live.deliver()
    nights.backfill()
    return live

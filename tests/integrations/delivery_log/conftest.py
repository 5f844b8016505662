"""Fixtures: GitHub with its delivery log, the receiver that it posts to, and a worker who scans."""

from collections.abc import Iterator

import pytest

from apps.demo.deliveries import body_of
from apps.demo.scenario import Sent
from apps.github.auth import GitHubAccess
from apps.webhooks import signature, wakeups
from tests.fake_github.delivery_log import DeliveryLog, keep_log
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import Clock
from tests.integrations.delivery_log.scanner import Scanner
from tests.webhooks.conftest import GitHub


@pytest.fixture(autouse=True)
def _remember_nothing_of_the_last_test() -> Iterator[None]:
    signature.forget_secrets()
    yield
    assert wakeups._sender.finish(), "no wake-up may be sent into the next test"


@pytest.fixture
def log(fake: FakeGitHub) -> DeliveryLog:
    """The App's log; what GitHub posts goes through the real receiver."""
    github = GitHub()

    def post(sent: Sent) -> int:
        answer = github.post(body_of(sent.payload), event=sent.event, guid=sent.guid, hook_id=log.hook_id)
        return int(answer.status_code)

    log = keep_log(fake, post=post, is_slow=True)
    return log


@pytest.fixture
def deliveries(fake: FakeGitHub) -> list[Sent]:
    """What GitHub has to post."""
    return list(fake.world.deliveries())


@pytest.fixture
def scanner(worker: GitHubAccess, log: DeliveryLog, clock: Clock) -> Scanner:
    return Scanner(access=worker, log=log, clock=clock)

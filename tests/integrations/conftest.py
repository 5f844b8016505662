"""The cast of tests that read GitHub: the fake, and a worker who reads it."""

from collections.abc import Iterator

import pytest

from apps.github.auth import GitHubAccess
from tests.fake_github.generated import Size
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API, Clock, access_to, forget_everything


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeGitHub]:
    """GitHub with one installation that reaches one repository of 30 pull requests."""
    forget_everything()
    with FakeGitHub(clock=clock) as server:
        server.world.install(ACME)
        server.world.add(
            "api",
            installation_id=ACME,
            repository_id=API,
            size=Size(pull_requests=30, issues=12, releases=3, deployments=4, runs=5),
        )
        yield server
        assert not server.bugs, server.bugs[0]
    forget_everything()


@pytest.fixture
def worker(fake: FakeGitHub) -> GitHubAccess:
    return access_to(fake)

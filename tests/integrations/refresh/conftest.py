"""The fake GitHub with one installation and nothing in it yet, and a repository."""

from collections.abc import Iterator

import pytest

from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, Clock, forget_everything
from tests.integrations.refresh.live_repository import LiveRepository


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeGitHub]:
    forget_everything()
    with FakeGitHub(clock=clock) as server:
        server.world.install(ACME)
        yield server
        assert not server.bugs, server.bugs[0]
    forget_everything()


@pytest.fixture
def api(fake: FakeGitHub) -> LiveRepository:
    return LiveRepository(fake)

"""The cast: GitHub with one installation and nothing in it yet, and a repository to tell of."""

from collections.abc import Iterator

import pytest

from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, Clock, forget_everything
from tests.integrations.enrichment.telling import Told


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeGitHub]:
    forget_everything()
    with FakeGitHub(clock=clock) as server:
        server.world.install(ACME)
        yield server
        assert not server.bugs, server.bugs[0]
    forget_everything()


@pytest.fixture
def api(fake: FakeGitHub) -> Told:
    return Told(fake)

"""The repository that most streams are read of."""

import pytest

from tests.fake_github.server import FakeGitHub
from tests.integrations.streams.varied_repository import VariedRepository, varied_repository


@pytest.fixture
def web(fake: FakeGitHub) -> VariedRepository:
    """`acme/web`, which GitHub shows too."""
    return varied_repository(fake.world)

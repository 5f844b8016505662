"""The cast of walks: a lively repository beside the one of all tests that read GitHub."""

from dataclasses import dataclass

import pytest

from apps.integrations.story.telling import Sent
from tests.fake_github.server import FakeGitHub
from tests.fake_github.truth import RepositoryTruth
from tests.fake_github.using import WEB
from tests.integrations.backfill.lively import lively

ABOUT_WEB = {"repository_id": WEB, "full_name": "acme/web"}


@dataclass(frozen=True, slots=True)
class Lively:
    """A repository as it is, and the webhooks that told of it."""

    truth: RepositoryTruth
    told: list[Sent]


@pytest.fixture
def web(fake: FakeGitHub) -> Lively:
    """`acme/web`, which GitHub shows too."""
    return Lively(*lively(fake.world))

"""The cast of walks: repositories that an installation reaches, and workers who walk them."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from apps.activity.models import Repository
from apps.demo.organisation import Sent
from apps.github.auth import GitHubAccess
from tests.fake_github.server import FakeGitHub
from tests.fake_github.truth import RepositoryTruth
from tests.fake_github.using import WEB
from tests.integrations.backfill.crew import Crew, forget_messages
from tests.integrations.backfill.installed import install, reach
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


@pytest.fixture
def api(db: None) -> Repository:
    """`acme/api`, as our tables know it before anything of it was read."""
    install()
    return reach()


@pytest.fixture
def crew(worker: GitHubAccess) -> Iterator[Crew]:
    forget_messages()
    yield Crew(access=worker)
    forget_messages()

"""The cast of walks: repositories that an installation reaches, and workers who walk them."""

from collections.abc import Iterator

import pytest

from apps.activity.models import Repository
from apps.github.auth import GitHubAccess
from tests.integrations.backfill.crew import Crew, forget_messages
from tests.integrations.backfill.installed import install, reach


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

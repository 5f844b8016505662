"""The cast: repositories that GitHub has and webhooks told of, and workers who compare both."""

from collections.abc import Iterator

import pytest

from apps.activity.models import Repository
from apps.integrations.github.access import GitHubAccess
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import WEB
from tests.integrations.backfill.crew import Crew, forget_messages
from tests.integrations.backfill.installed import install, reach
from tests.integrations.backfill.lively import lively


@pytest.fixture
def api(db: None, fake: FakeGitHub) -> Repository:
    """`acme/api`, which GitHub has, as our tables know it before anything of it was told."""
    install()
    return reach()


@pytest.fixture
def web(api: Repository, fake: FakeGitHub) -> Repository:
    """`acme/web`, where everything looks a little different each time."""
    lively(fake.world)
    return reach("acme/web", WEB)


@pytest.fixture(params=["api", "web"])
def either(request: pytest.FixtureRequest, api: Repository, web: Repository) -> Repository:
    """Each of them in turn."""
    return {"api": api, "web": web}[request.param]


@pytest.fixture
def crew(worker: GitHubAccess) -> Iterator[Crew]:
    forget_messages()
    yield Crew(access=worker)
    forget_messages()

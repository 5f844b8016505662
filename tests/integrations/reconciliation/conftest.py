"""Fixtures: an instance whose GitHub is the fake one, repositories that webhooks reported, and workers who compare."""

from collections.abc import Iterator
from typing import Any

import pytest

from apps.activity.models import Repository
from apps.github.auth import GitHubAccess, github
from tests.fake_github.identities import APP_ID, app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, WEB, Clock, forget_everything
from tests.integrations.backfill.installed import install, reach
from tests.integrations.backfill.workers import BackfillWorkers
from tests.integrations.reconciliation.workers import forget_messages
from tests.integrations.streams.varied_repository import varied_repository


@pytest.fixture
def hub(clock: Clock, settings: Any) -> Iterator[FakeGitHub]:
    """A GitHub with an empty organisation, and the App installed on it."""
    forget_everything()
    with FakeGitHub(clock=clock) as server:
        settings.GITHUB_API_URL = server.url
        settings.GITHUB_APP_ID, settings.GITHUB_APP_PRIVATE_KEY = APP_ID, app_pem()
        server.world.install(ACME)
        github.cache_clear()
        forget_messages()
        yield server
        assert not server.bugs, server.bugs[0]
    github.cache_clear()
    forget_messages()
    forget_everything()


@pytest.fixture
def api(db: None, fake: FakeGitHub) -> Repository:
    """`acme/api`, which GitHub has, as our tables know it before anything of it was reported."""
    install()
    return reach()


@pytest.fixture
def web(api: Repository, fake: FakeGitHub) -> Repository:
    """`acme/web`, where everything looks a little different each time."""
    varied_repository(fake.world)
    return reach("acme/web", WEB)


@pytest.fixture(params=["api", "web"])
def either(request: pytest.FixtureRequest, api: Repository, web: Repository) -> Repository:
    """Each of them, one after the other."""
    return {"api": api, "web": web}[request.param]


@pytest.fixture
def workers(worker: GitHubAccess) -> Iterator[BackfillWorkers]:
    forget_messages()
    yield BackfillWorkers(access=worker)
    forget_messages()

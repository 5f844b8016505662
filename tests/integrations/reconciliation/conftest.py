"""An instance whose GitHub is the fake one: settings, credentials, and everybody at work."""

from collections.abc import Iterator
from typing import Any

import pytest

from apps.integrations.github.access import github
from tests.fake_github.identities import APP_ID
from tests.fake_github.keys import app_pem
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, Clock, forget_everything
from tests.integrations.reconciliation.everybody import forget_messages


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

"""The cast of backfills: repositories that an installation reaches, and workers who read them."""

from collections.abc import Iterator

import pytest

from apps.activity.models import Repository
from apps.github.auth import GitHubAccess
from tests.integrations.backfill.installed import install, reach
from tests.integrations.backfill.workers import BackfillWorkers, forget_messages


@pytest.fixture
def api(db: None) -> Repository:
    """`acme/api`, as our tables know it before anything of it was read."""
    install()
    return reach()


@pytest.fixture
def workers(worker: GitHubAccess) -> Iterator[BackfillWorkers]:
    forget_messages()
    yield BackfillWorkers(access=worker)
    forget_messages()

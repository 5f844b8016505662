"""A repository of which everything is here that GitHub has, and a run that is about to count it."""

from dataclasses import dataclass

import pytest

from apps.activity.models import Repository
from apps.integrations.models import RepositorySync
from tests.fake_github.generated import Size
from tests.fake_github.server import FakeGitHub
from tests.fake_github.truth import RepositoryTruth
from tests.fake_github.using import ACME, WEB
from tests.integrations.backfill.installed import install, reach
from tests.integrations.reconciliation.workers import begin_sync, deliver, deliveries_about


@dataclass(frozen=True, slots=True)
class Whole:
    """The repository here, and on GitHub."""

    repository: Repository
    truth: RepositoryTruth

    def sync(self) -> RepositorySync:
        return begin_sync(self.repository)


@pytest.fixture
def whole(db: None, fake: FakeGitHub) -> Whole:
    """`acme/web`, as its webhooks reported it."""
    install()
    truth = fake.world.add(
        "web", installation_id=ACME, repository_id=WEB, size=Size(pull_requests=12, issues=14, releases=6)
    )
    repository = reach("acme/web", WEB)
    deliver(deliveries_about(fake, WEB))
    return Whole(repository, truth)

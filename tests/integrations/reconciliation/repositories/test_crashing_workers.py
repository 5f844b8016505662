"""A repository that its workers do not survive is in nobody's way, and comes to an end."""

from collections.abc import Mapping
from typing import Any

import pytest

from apps.activity.models import Repository
from apps.github.auth import GitHubAccess
from apps.github.responses import Answer
from apps.integrations.models import RepositorySync
from apps.integrations.outcomes import MOST_ATTEMPTS
from apps.jobs.claims import claim
from tests.fake_github.server import FakeGitHub
from tests.fake_github.using import ACME, API
from tests.integrations.backfill.installed import reach
from tests.integrations.reconciliation.repositories.night_runs import Nights
from tests.integrations.refresh.live_repository import LiveRepository

pytestmark = pytest.mark.django_db(transaction=True)
MOST_DEATHS = 20


class Killed(BaseException):
    """As a worker dies: nothing of what it holds is given back."""


@pytest.fixture
def beside(fake: FakeGitHub, api: LiveRepository, nights: Nights) -> list[Repository]:
    """Repositories on both sides of the killer, by their ids."""
    found = []
    for number in (3, 5, 901, 902, 903):
        fake.world.add(f"r{number}", installation_id=ACME, repository_id=number)
        found.append(reach(f"acme/r{number}", number))
    assert {one.pk < API for one in found} == {True, False}
    nights.cover(found)
    return found


def bury() -> None:
    """Their leases run out."""
    RepositorySync.objects.filter(state="running").update(lease_until="2020-01-01T00:00:00Z")


class Deadly(GitHubAccess):
    """Whoever asks for `acme/api` does not survive the answer."""

    def graphql(self, document: str, variables: Mapping[str, Any], **about: Any) -> Answer:
        if "api" in variables.values():
            raise Killed
        return super().graphql(document, variables, **about)


@pytest.mark.proof
def test_others_are_compared_though_workers_die_of_one(beside: list[Repository], nights: Nights) -> None:
    nights.access = Deadly(client=nights.access.client, tokens=nights.access.tokens)
    nights.begin()
    for _ in range(MOST_DEATHS):
        try:
            nights.probe()
        except Killed:
            bury()
        else:
            break
    ended = dict(RepositorySync.objects.values_list("repository", "reason"))
    assert ended == {API: "crashed", **{one.pk: "" for one in beside}}
    assert not nights.unfinished().exists()


@pytest.mark.proof
def test_one_whose_counting_kills_comes_to_an_end(api: LiveRepository, nights: Nights) -> None:
    [row] = nights.begin()
    RepositorySync.objects.update(probed_at=row.created_at)
    for _ in range(MOST_ATTEMPTS + 1):
        assert claim(row.pk, task_id="killed") is not None
        bury()
    nights.verify(row)
    row.refresh_from_db()
    assert (row.state, row.reason) == ("failed", "crashed")
